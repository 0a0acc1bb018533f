import type { Row } from '#shared/db/schema.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import { createComment, deleteComment, editComment, findComments } from '#shared/forge/github/comment.ts'
import { addLabels, removeLabel } from '#shared/forge/github/labels.ts'
import { readRepository } from '#shared/forge/github/repository.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import type { Forge } from './handler.ts'

/** Comments and labels on GitHub in one repository. */
export function githubForge(github: GitHub, project: Row<'projects'>): Forge {
  const repo = repositoryRef(project, github)
  const octokit = github.for(repo)
  return {
    isThere: async () => (await readRepository(octokit, repo)) !== undefined,
    async find(number, marker) {
      const comments = await findComments(octokit, repo, number, { marker, authorId: project.own_actor_id })
      return comments.map(({ id }) => id)
    },
    create: (number, body) => createComment(octokit, repo, number, body),
    edit: (id, body) => editComment(octokit, repo, id, body),
    remove: (id) => deleteComment(octokit, repo, id),
    async changeLabels(number, { remove, add }) {
      for (const label of remove) await removeLabel(octokit, repo, number, label)
      if (add.length > 0) await addLabels(octokit, repo, number, add)
    },
  }
}
