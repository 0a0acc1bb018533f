import type { Octokit } from '@octokit/core'
import { PermanentError } from '#shared/errors.ts'
import { branchName, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { readBranchHead } from './branch.ts'
import { REPEATABLE } from './client.ts'
import { NotThere, Refused, found } from './failure.ts'

/** One path of a change set against its parent. `mode` is git's: `100644`, `100755` or `120000`. */
export type ChangedFile =
  | { readonly path: string; readonly mode: '100644' | '100755' | '120000'; readonly content: Uint8Array }
  | { readonly path: string; readonly delete: true }

/** Why nothing was committed: the branch is at neither the expected commit nor ours; the parent does not exist (any more); the files are those of the parent. */
export interface CommitConflict {
  readonly conflict: 'branch_moved' | 'parent_missing' | 'no_change'
}

/**
 * Commit a change set on `parent` and put `branch` there, without force. `expectedHead` is where the branch must be before (null: not
 * there). To be repeated at will: a branch that already has this tree on this parent is taken as ours. No author is set, so that
 * GitHub signs an App's commit. Throws Refused (permanent) for files that GitHub does not take.
 */
export async function commitChangeSet(
  octokit: Octokit,
  repository: RepositoryRef,
  change: {
    readonly parent: string
    readonly branch: string
    readonly message: string
    readonly files: readonly ChangedFile[]
    readonly expectedHead: string | null
  },
): Promise<{ readonly commit: string; readonly tree: string } | CommitConflict> {
  const address = ownerAndName(repository)
  const { parent } = change
  if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(parent)) throw new PermanentError('not a commit id')
  const branch = branchName(change.branch)

  const base = await readCommit(octokit, repository, parent)
  if (base === undefined) return { conflict: 'parent_missing' }
  const tree = await writeTree(octokit, repository, base.tree, change.files)
  if (tree === base.tree) return { conflict: 'no_change' }

  const head = (await readBranchHead(octokit, repository, branch)) ?? null
  if (head !== change.expectedHead) return adopt(head)

  const written = await octokit.request('POST /repos/{owner}/{repo}/git/commits', {
    ...address,
    message: change.message,
    tree,
    parents: [parent],
    // A second commit object that no branch points to harms nobody.
    request: REPEATABLE,
  })
  const commit = written.data.sha
  try {
    if (head === null) {
      const ref = `refs/heads/${branch}`
      await octokit.request('POST /repos/{owner}/{repo}/git/refs', {
        ...address,
        ref,
        sha: commit,
        request: REPEATABLE,
      })
    } else {
      const ref = `heads/${branch}`
      await octokit.request('PATCH /repos/{owner}/{repo}/git/refs/{ref}', {
        ...address,
        ref,
        sha: commit,
        force: false,
      })
    }
    return { commit, tree }
  } catch (error) {
    // Somebody was faster, perhaps we ourselves in another process.
    if (!(error instanceof Refused || error instanceof NotThere)) throw error
    const now = (await readBranchHead(octokit, repository, branch)) ?? null
    if (now === head && !/fast.?forward/i.test(error.message)) throw error
    return adopt(now)
  }

  async function adopt(sha: string | null): Promise<{ commit: string; tree: string } | CommitConflict> {
    const existing = sha === null ? undefined : await readCommit(octokit, repository, sha)
    const ours = existing?.tree === tree && existing.parents.length === 1 && existing.parents[0] === parent
    return sha !== null && ours ? { commit: sha, tree } : { conflict: 'branch_moved' }
  }
}

async function readCommit(octokit: Octokit, repository: RepositoryRef, sha: string) {
  const address = { ...ownerAndName(repository), commit_sha: sha }
  const data = await found(octokit.request('GET /repos/{owner}/{repo}/git/commits/{commit_sha}', address))
  return data && { tree: data.tree.sha, parents: data.parents.map((parent) => parent.sha) }
}

async function writeTree(
  octokit: Octokit,
  repository: RepositoryRef,
  baseTree: string,
  files: readonly ChangedFile[],
): Promise<string> {
  const address = ownerAndName(repository)
  const entries = []
  for (const file of files) {
    const entry = { path: file.path, type: 'blob' as const }
    if ('delete' in file) {
      entries.push({ ...entry, mode: '100644' as const, sha: null })
      continue
    }
    const text = asText(file.content)
    if (text !== undefined) {
      entries.push({ ...entry, mode: file.mode, content: text })
      continue
    }
    const content = Buffer.from(file.content).toString('base64')
    const blob = { ...address, content, encoding: 'base64', request: REPEATABLE }
    const { data } = await octokit.request('POST /repos/{owner}/{repo}/git/blobs', blob)
    entries.push({ ...entry, mode: file.mode, sha: data.sha })
  }
  if (entries.length === 0) return baseTree
  const tree = { ...address, base_tree: baseTree, tree: entries, request: REPEATABLE }
  return (await octokit.request('POST /repos/{owner}/{repo}/git/trees', tree)).data.sha
}

/** The bytes as text if JSON can carry them unchanged. */
function asText(content: Uint8Array): string | undefined {
  if (content.includes(0)) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch {
    return undefined
  }
}
