import { createHash } from 'node:crypto'

import type { State } from './engine.ts'
import { invalid } from './reply.ts'
import type { BlobRow, CommitData, CommitRow, TagRow, TreeEntry, TreeRow } from './rows.ts'

/** A file at a path in a tree. */
export type FileEntry = Omit<TreeEntry, 'path'>

/** The name git gives an object. */
export function objectSha(type: string, content: Buffer): string {
  return createHash('sha1').update(`${type} ${content.byteLength}\0`).update(content).digest('hex')
}

/** A blob's bytes. */
export function blobContent(blob: BlobRow): Buffer {
  return Buffer.from(blob.content, blob.encoding === 'base64' ? 'base64' : 'utf8')
}

/** A tree as git writes it: sorted as if directories ended in a slash, modes without leading zeros. */
export function treeContent(entries: readonly TreeEntry[]): Buffer {
  const key = (entry: TreeEntry) => Buffer.from(entry.type === 'tree' ? `${entry.path}/` : entry.path)
  const ordered = [...entries].sort((left, right) => Buffer.compare(key(left), key(right)))
  return Buffer.concat(
    ordered.flatMap(({ mode, path, sha }) => [
      Buffer.from(`${mode.replace(/^0+/, '')} ${path}\0`),
      Buffer.from(sha, 'hex'),
    ]),
  )
}

const identity = (name: string, email: string, date: string) => {
  const zone = /([+-]\d{2}):?(\d{2})$/.exec(date)
  return `${name} <${email}> ${Math.floor(Date.parse(date) / 1000)} ${zone ? `${zone[1]}${zone[2]}` : '+0000'}`
}
const withNewline = (text: string) => (text.endsWith('\n') ? text : `${text}\n`)

/** A commit as git writes it. */
export function commitContent(commit: CommitData): Buffer {
  const lines = [
    `tree ${commit.tree_sha}`,
    ...commit.parent_shas.map((sha) => `parent ${sha}`),
    `author ${identity(commit.author_name, commit.author_email, commit.author_date)}`,
    `committer ${identity(commit.committer_name, commit.committer_email, commit.committer_date)}`,
  ]
  return Buffer.from(`${lines.join('\n')}\n\n${withNewline(commit.message)}`)
}

/** An annotated tag as git writes it. */
export function tagContent(tag: Omit<TagRow, 'sha'>): Buffer {
  const tagger = identity(tag.tagger_name, tag.tagger_email, tag.tagger_date)
  return Buffer.from(
    `object ${tag.object_sha}\ntype ${tag.object_type}\ntag ${tag.tag}\ntagger ${tagger}\n\n${withNewline(tag.message)}`,
  )
}

/** Reads and writes git objects of one repository in the emulator's tables. */
export interface ObjectStore {
  blob(content: Buffer): BlobRow
  findTree(sha: string): TreeRow | undefined
  findCommit(sha: string): CommitRow | undefined
  commit(data: CommitData, author: number): CommitRow
  /** All files below a tree, by path. */
  files(tree: string): Map<string, FileEntry>
  /** Write the trees that hold these files; directories without a file vanish, as in git. */
  tree(files: ReadonlyMap<string, FileEntry>): TreeRow
}

/** The objects of one repository. */
export function objectStore(state: State, repo: number): ObjectStore {
  const find = <T extends { readonly repo_id: number; readonly sha: string }>(rows: readonly T[]) =>
    rows.find((row) => row.repo_id === repo)
  const findTree = (sha: string) => find(state.trees.findBy('sha', sha))
  const findCommit = (sha: string) => find(state.commits.findBy('sha', sha))
  const nodeId = (type: string, id: number) => Buffer.from(`0:${type}${id}`).toString('base64').replace(/=+$/, '')

  function writeTree(tree: TreeEntry[]): TreeRow {
    const sha = objectSha('tree', treeContent(tree))
    const known = findTree(sha)
    if (known) return known
    const row = state.trees.insert({ repo_id: repo, sha, node_id: '', tree, truncated: false })
    return state.trees.update(row.id, { node_id: nodeId('Tree', row.id) }) ?? row
  }

  return {
    findTree,
    findCommit,
    blob(content) {
      const sha = objectSha('blob', content)
      const known = find(state.blobs.findBy('sha', sha))
      if (known) return known
      const text = content.toString('utf8')
      const plain = !text.includes('\0') && Buffer.from(text, 'utf8').equals(content)
      const row = state.blobs.insert({
        repo_id: repo,
        sha,
        node_id: '',
        content: plain ? text : content.toString('base64'),
        encoding: plain ? 'utf-8' : 'base64',
        size: content.byteLength,
      })
      return state.blobs.update(row.id, { node_id: nodeId('Blob', row.id) }) ?? row
    },
    commit(data, author) {
      const sha = objectSha('commit', commitContent(data))
      const row = findCommit(sha) ?? state.commits.insert({ repo_id: repo, sha, node_id: '', user_id: author, ...data })
      return state.commits.update(row.id, { node_id: nodeId('Commit', row.id) }) ?? row
    },
    files(root) {
      const files = new Map<string, FileEntry>()
      const walk = (sha: string, prefix: string) => {
        for (const { path, ...entry } of findTree(sha)?.tree ?? []) {
          if (entry.type === 'tree') walk(entry.sha, `${prefix}${path}/`)
          else files.set(prefix + path, entry)
        }
      }
      walk(root, '')
      return files
    },
    tree(files) {
      type Folder = Map<string, FileEntry | Folder>
      const root: Folder = new Map()
      for (const [path, entry] of files) {
        const parts = path.split('/')
        const name = parts.pop() ?? ''
        let folder = root
        for (const part of parts) {
          const next = folder.get(part) ?? new Map<string, FileEntry | Folder>()
          if (!(next instanceof Map)) throw invalid(`${path} conflicts with an existing file`)
          folder.set(part, next)
          folder = next
        }
        if (folder.get(name) instanceof Map) throw invalid(`${path} conflicts with an existing directory`)
        folder.set(name, entry)
      }
      const write = (folder: Folder): TreeRow =>
        writeTree(
          [...folder].map(([path, entry]) =>
            entry instanceof Map
              ? { path, mode: '040000', type: 'tree' as const, sha: write(entry).sha }
              : { path, ...entry },
          ),
        )
      return write(root)
    },
  }
}
