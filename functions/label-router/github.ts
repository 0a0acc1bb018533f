import { readActorPermission } from '#shared/forge/github/actor-permission.ts'
import { readBranchHead } from '#shared/forge/github/branch.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import { findLabelEvent } from '#shared/forge/github/label-events.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import { readRepository } from '#shared/forge/github/repository.ts'
import { readComments, readSubject } from '#shared/forge/github/subject.ts'
import type { Forge, Project } from './handler.ts'

/** What the router asks GitHub about one repository. */
export function githubForge(github: GitHub, project: Project): Forge {
  const repo = repositoryRef(project, github)
  const octokit = github.for(repo)
  // A forge is made for one event: what it was told of the repository holds for that long.
  let known: ReturnType<typeof readRepository> | undefined
  const repositoryNow = () => (known ??= readRepository(octokit, repo))
  return {
    async labelEvent(number, label, actorId, notAfter) {
      const found = await findLabelEvent(octokit, repo, { number, label, actorId, notAfter })
      return found && { id: found.id, createdAt: new Date(found.createdAt) }
    },
    async permission(login) {
      const { actorId, permission } = await readActorPermission(octokit, repo, login)
      return { actorId: actorId ?? '', permission }
    },
    async subject(number) {
      const subject = await readSubject(octokit, repo, number)
      return (
        subject && {
          id: subject.id,
          open: subject.state === 'open',
          locked: subject.locked,
          title: subject.title,
          body: subject.body,
          labels: subject.labels,
        }
      )
    },
    comments: (number, notAfter) => readComments(octokit, repo, number, { notAfter }),
    async base() {
      const repository = await repositoryNow()
      const commit = repository && (await readBranchHead(octokit, repo, repository.defaultBranch))
      return repository && commit ? { ref: repository.defaultBranch, commit } : undefined
    },
    repositoryId: async () => (await repositoryNow())?.id,
  }
}
