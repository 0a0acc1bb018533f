import { readActorPermission } from '#shared/forge/github/actor-permission.ts'
import { readBranchHead } from '#shared/forge/github/branch.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import { editedSince } from '#shared/forge/github/edits.ts'
import { listAttempts, requestRedelivery } from '#shared/forge/github/hook-deliveries.ts'
import { findLabelEvent, listLabelChanges, type LabelChanges } from '#shared/forge/github/label-events.ts'
import { readPullRequest } from '#shared/forge/github/pull-request.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import { readRepository } from '#shared/forge/github/repository.ts'
import { readReviews } from '#shared/forge/github/review.ts'
import { readComments, readSubject } from '#shared/forge/github/subject.ts'
import type { DeliveriesOf } from './catch-up.ts'
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
      return found && { id: found.id, createdAt: found.createdAt, takenOff: found.removed }
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
    async pullRequest(number) {
      const pull = await readPullRequest(octokit, repo, number)
      return pull && { ...pull, branch: pull.head.branch, head: pull.head.sha }
    },
    reviews: (number, notAfter) => readReviews(octokit, repo, number, { notAfter }),
    comments: (number, notAfter) => readComments(octokit, repo, number, { notAfter }),
    edited: (number, since) => editedSince(octokit, repo, number, since),
    async base() {
      const repository = await repositoryNow()
      const commit = repository && (await readBranchHead(octokit, repo, repository.defaultBranch))
      return repository && commit ? { ref: repository.defaultBranch, commit } : undefined
    },
    repositoryId: async () => (await repositoryNow())?.id,
  }
}

/** What GitHub says of its deliveries to a hook; without a project to the hook of our App. */
export function githubDeliveries(github: GitHub, project: Project | undefined, forgeHookId: string): DeliveriesOf {
  const repository = project && repositoryRef(project, github)
  const octokit = repository ? github.for(repository) : github.self()
  const hook = { id: forgeHookId, repository }
  return {
    attempts: (cursor) => listAttempts(octokit, hook, cursor),
    again: (attemptId) => requestRedelivery(octokit, hook, attemptId),
  }
}

/** A page of what happened to labels in a project's repository. */
export function githubLabelChanges(github: GitHub, project: Project, page: number): Promise<LabelChanges> {
  const repo = repositoryRef(project, github)
  return listLabelChanges(github.for(repo), repo, page)
}
