import type { Row } from '#shared/db/schema.ts'
import { readActorPermission } from '#shared/forge/github/actor-permission.ts'
import { ownerAndName } from '#shared/forge/github/address.ts'
import type { GitHub } from '#shared/forge/github/client.ts'
import { commitChangeSet } from '#shared/forge/github/commit.ts'
import { openPullRequest, readPullRequest } from '#shared/forge/github/pull-request.ts'
import { readRepository } from '#shared/forge/github/repository.ts'
import { repositoryRef } from '#shared/forge/github/repository-ref.ts'
import { askPolicy, mayAsk } from '#shared/workflow/may-ask.ts'
import type { Forge } from './handler.ts'

/** What the publisher does on GitHub in one repository. */
export function githubForge(github: GitHub, project: Row<'projects'>): Forge {
  const repo = repositoryRef(project, github)
  const octokit = github.for(repo)
  return {
    async mayStillAsk({ id, login }) {
      const { actorId, permission } = await readActorPermission(octokit, repo, login)
      return mayAsk({ id, type: 'User', now: { actorId: actorId ?? '', permission } }, askPolicy(project.settings))
    },

    isOpen: async (number) => (await readPullRequest(octokit, repo, number))?.state === 'open',

    async baseTree(commit) {
      if ((await readRepository(octokit, repo)) === undefined) return undefined
      const { data } = await octokit.request('GET /repos/{owner}/{repo}/git/trees/{tree_sha}', {
        ...ownerAndName(repo),
        tree_sha: commit,
        recursive: '1',
      })
      // GitHub cuts the list at 100,000 entries; a policy on half a tree would be none.
      if (data.truncated) return 'too_large'
      const entries = data.tree.flatMap((entry) =>
        entry.path === undefined || entry.type === 'tree' ? [] : [[entry.path, entry] as const],
      )
      return new Map(
        entries.map(([path, { mode, type, sha }]) => [path, { mode, type: type as 'blob' | 'commit', object: sha }]),
      )
    },

    async baseFile(object) {
      const { data } = await octokit.request('GET /repos/{owner}/{repo}/git/blobs/{file_sha}', {
        ...ownerAndName(repo),
        file_sha: object,
      })
      return Buffer.from(data.content, 'base64')
    },

    async commit({ files, ...change }) {
      const done = await commitChangeSet(octokit, repo, {
        ...change,
        files: files.map((file) =>
          file.kind === 'write'
            ? { path: file.path, mode: file.mode, content: file.content }
            : { path: file.path, delete: true },
        ),
      })
      if ('commit' in done) return done
      const conflicts = {
        branch_moved: 'branch_moved',
        no_change: 'nothing_to_publish',
        parent_missing: 'repository_gone',
      } as const
      return { refused: conflicts[done.conflict] }
    },

    openPullRequest: (wanted) => openPullRequest(octokit, repo, wanted),
  }
}
