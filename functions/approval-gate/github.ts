import type { Row } from '#shared/db/schema.ts'
import { readActorPermission } from '#shared/forge/github/actor-permission.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import { readComment } from '#shared/forge/github/comment.ts'
import { findLabelEvent } from '#shared/forge/github/label-events.ts'
import { readPullRequest } from '#shared/forge/github/pull-request.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import { readRepository } from '#shared/forge/github/repository.ts'
import { readSubject } from '#shared/forge/github/subject.ts'
import type { Forge } from './judge.ts'

/** What the gate asks GitHub about one repository. */
export function githubForge(github: GitHub, project: Row<'projects'>): Forge {
  const repo = repositoryRef(project, github)
  const octokit = github.for(repo)
  return {
    repositoryId: async () => (await readRepository(octokit, repo))?.id,
    permission: (login) => readActorPermission(octokit, repo, login),
    async subject(number) {
      const subject = await readSubject(octokit, repo, number)
      return subject && { ...subject, open: subject.state === 'open' }
    },
    async head(number) {
      const pull = await readPullRequest(octokit, repo, number)
      return pull?.state === 'open' ? pull.head.sha : undefined
    },
    comment: (id) => readComment(octokit, repo, id),
    labelEvent: (number, label, actorId, notAfter) =>
      findLabelEvent(octokit, repo, { number, label, actorId, notAfter }),
  }
}
