import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { deflate } from 'node:zlib'

import type { State } from './engine.ts'
import { blobContent, commitContent, tagContent, treeContent } from './objects.ts'
import type { RepoRow } from './rows.ts'

const compress = promisify(deflate)

const CONFIG = `[core]
	repositoryformatversion = 0
	bare = true
[http]
	receivepack = false
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[gc]
	auto = 0
`

/** Brings the bare repository on disk up to what the emulator holds, one at a time per repository. */
export interface GitRepositories {
  readonly root: string
  refresh(repo: RepoRow): Promise<void>
}

/** Bare repositories below a folder; every object is written once, references are replaced as a whole. */
export function createGitRepositories(root: string, state: State): GitRepositories {
  const queues = new Map<number, Promise<void>>()
  const written = new Map<number, Set<string>>()

  async function fill(repo: RepoRow): Promise<void> {
    const folder = join(root, `${repo.full_name}.git`)
    let known = written.get(repo.id)
    if (!known) {
      await Promise.all([
        mkdir(join(folder, 'objects'), { recursive: true }),
        mkdir(join(folder, 'refs'), { recursive: true }),
      ])
      await Promise.all([
        writeFile(join(folder, 'HEAD'), `ref: refs/heads/${repo.default_branch}\n`),
        writeFile(join(folder, 'config'), CONFIG),
      ])
      written.set(repo.id, (known = new Set()))
    }
    const rows = [
      ...state.blobs.findBy('repo_id', repo.id).map((row) => ({ row, type: 'blob', content: () => blobContent(row) })),
      ...state.trees
        .findBy('repo_id', repo.id)
        .map((row) => ({ row, type: 'tree', content: () => treeContent(row.tree) })),
      ...state.commits
        .findBy('repo_id', repo.id)
        .map((row) => ({ row, type: 'commit', content: () => commitContent(row) })),
      ...state.tags.findBy('repo_id', repo.id).map((row) => ({ row, type: 'tag', content: () => tagContent(row) })),
    ]
    // Taken before the first await, so that no reference points past the objects collected above.
    const refs = state.refs.findBy('repo_id', repo.id).map(({ ref, sha }) => `${sha} ${ref}\n`)
    for (const { row, type, content } of rows) {
      if (known.has(row.sha)) continue
      await writeObject(folder, type, row.sha, content())
      known.add(row.sha)
    }
    await replace(
      join(folder, 'packed-refs'),
      refs.sort((left, right) => (left.slice(41) < right.slice(41) ? -1 : 1)).join(''),
    )
  }

  return {
    root,
    refresh(repo) {
      const next = (queues.get(repo.id) ?? Promise.resolve()).then(() => fill(repo))
      queues.set(
        repo.id,
        next.catch(() => undefined),
      )
      return next
    },
  }
}

async function writeObject(folder: string, type: string, sha: string, content: Buffer): Promise<void> {
  const file = join(folder, 'objects', sha.slice(0, 2), sha.slice(2))
  await mkdir(dirname(file), { recursive: true })
  await replace(file, await compress(Buffer.concat([Buffer.from(`${type} ${content.byteLength}\0`), content])))
}

async function replace(file: string, content: string | Buffer): Promise<void> {
  await writeFile(`${file}.tmp`, content)
  await rename(`${file}.tmp`, file)
}
