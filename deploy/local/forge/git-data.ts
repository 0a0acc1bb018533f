import type { Context, Hono } from 'hono'

import { requestContext } from './context.ts'
import type { Env, Forge } from './forge.ts'
import { ask, forward } from './forward.ts'
import { objectBody } from './issues.ts'
import { objectStore, objectSha, tagContent } from './objects.ts'
import type { FileEntry } from './objects.ts'
import { demand, repositoryOf } from './permissions.ts'
import { invalid, isObject } from './reply.ts'
import type { Json } from './reply.ts'
import type { RepoRow, TreeEntry } from './rows.ts'

const TYPE_OF_MODE: Readonly<Record<string, TreeEntry['type']>> = {
  '100644': 'blob',
  '100755': 'blob',
  '120000': 'blob',
  '040000': 'tree',
  '160000': 'commit',
}

/** The Git Data API where the emulator's differs: trees without empty folders, commits that GitHub signs for Apps. */
export function gitDataRoutes(app: Hono<Env>, forge: Forge): void {
  app.post('/repos/:owner/:repo/git/trees', (c) => {
    const repo = repositoryOf(forge, c)
    demand(forge, c.get('caller'), repo, 'push', 'contents')
    const body = objectBody(c)
    if (!Array.isArray(body['tree'])) throw invalid('Invalid request.\n\n"tree" wasn\'t supplied.')
    const row = buildTree(forge, repo, body['base_tree'], body['tree'])
    const url = `${forge.url}/repos/${repo.full_name}/git`
    const sorted = row.tree.toSorted((left, right) => (left.path < right.path ? -1 : 1))
    const tree = sorted.map((entry) => ({ ...entry, url: `${url}/${entry.type}s/${entry.sha}` }))
    return c.json({ sha: row.sha, url: `${url}/trees/${row.sha}`, tree, truncated: false }, 201)
  })
  app.post('/repos/:owner/:repo/git/commits', async (c) => {
    demand(forge, c.get('caller'), repositoryOf(forge, c), 'push', 'contents')
    const body = objectBody(c)
    return signed(forge, c, { ...body, parents: body['parents'] ?? [] })
  })
  for (const method of ['put', 'delete'] as const) {
    app[method]('/repos/:owner/:repo/contents/:path{.+}', (c) => {
      demand(forge, c.get('caller'), repositoryOf(forge, c), 'push', 'contents')
      return signed(forge, c, objectBody(c))
    })
  }
  app.post('/repos/:owner/:repo/git/refs', (c) => {
    const repo = repositoryOf(forge, c)
    demand(forge, c.get('caller'), repo, 'push', 'contents')
    const ref = String(objectBody(c)['ref'])
    if (!/^refs\/[^/]+\/./.test(ref))
      throw invalid("Reference name must start with 'refs' and have at least two slashes.")
    if (!validRef(ref)) throw invalid(`${ref} is not a valid ref name.`)
    const inTheWay = forge.state.refs
      .findBy('repo_id', repo.id)
      .some((row) => row.ref.startsWith(`${ref}/`) || ref.startsWith(`${row.ref}/`))
    if (inTheWay) throw invalid('Reference update failed')
    return forward(forge, c)
  })
  app.delete('/repos/:owner/:repo/git/refs/:ref{.+}', async (c) => {
    const repo = repositoryOf(forge, c)
    demand(forge, c.get('caller'), repo, 'push', 'contents')
    const branch = c.req.param('ref').replace(/^heads\//, '')
    const { status } = await ask(forge, c)
    // A pull request does not outlive its branch.
    for (const pull of forge.state.pullRequests.all()) {
      if (pull.head_repo_id !== repo.id || pull.head_ref !== branch || pull.state !== 'open') continue
      const base = forge.state.repos.get(pull.base_repo_id)
      await ask(forge, c, {
        method: 'PATCH',
        path: `/repos/${base?.full_name}/pulls/${pull.number}`,
        body: { state: 'closed' },
      })
    }
    return c.body(null, status as 204)
  })
  app.patch('/repos/:owner/:repo/git/refs/:ref{.+}', (c) => {
    demand(forge, c.get('caller'), repositoryOf(forge, c), 'push', 'contents')
    // Only a JSON true is force: the emulator would take the string "false" for it.
    const body = objectBody(c)
    return forward(forge, c, { body: { ...body, force: body['force'] === true } })
  })
}

// A commit through an App that names no author is by its bot and signed by GitHub.
async function signed(forge: Forge, c: Context<Env>, body: Json): Promise<Response> {
  const caller = c.get('caller')
  if (caller.kind !== 'installation' || body['author'] !== undefined || body['committer'] !== undefined)
    return forward(forge, c, { body })
  const context = requestContext.getStore()
  if (context) context.signed = true
  const author = { name: caller.user.login, email: caller.user.email }
  const committer = { name: 'GitHub', email: 'noreply@github.com' }
  const { status, body: answer } = await ask(forge, c, { body: { ...body, author, committer } })
  return c.json(answer as Json, status)
}

function buildTree(forge: Forge, repo: RepoRow, base: unknown, items: readonly unknown[]) {
  const objects = objectStore(forge.state, repo.id)
  const root = typeof base === 'string' ? (objects.findCommit(base)?.tree_sha ?? base) : undefined
  if (root !== undefined && !objects.findTree(root)) throw invalid('base_tree is not a valid tree oid')
  const files = root === undefined ? new Map<string, FileEntry>() : objects.files(root)
  const added: [path: string, entry: FileEntry][] = []
  for (const item of items) {
    if (!isObject(item)) throw invalid('tree is not an array of objects')
    const { path, mode, sha, content } = item
    const type = typeof mode === 'string' ? TYPE_OF_MODE[mode] : undefined
    if (typeof path !== 'string' || !wellFormed(path)) throw invalid('tree.path contains a malformed path component')
    if (typeof mode !== 'string' || type === undefined)
      throw invalid('tree.mode must be one of 100644, 100755, 040000, 160000, 120000')
    if (sha !== undefined && content !== undefined)
      throw invalid('Must supply either tree.sha or tree.content, not both')
    if (sha === null) {
      const gone = [...files.keys()].filter((known) => known === path || known.startsWith(`${path}/`))
      if (gone.length === 0) throw invalid('GitRPC::BadObjectState')
      for (const known of gone) files.delete(known)
    } else if (typeof content === 'string' && type === 'blob') {
      const blob = objects.blob(Buffer.from(content))
      added.push([path, { mode, type, sha: blob.sha, size: blob.size }])
    } else if (typeof sha === 'string') {
      added.push(...entriesFor(forge, repo, path, mode, type, sha))
    } else throw invalid('tree.sha or tree.content is missing')
  }
  // After the deletions, so a file may become a folder in one request.
  for (const [path, entry] of added) files.set(path, entry)
  return objects.tree(files)
}

function entriesFor(
  forge: Forge,
  repo: RepoRow,
  path: string,
  mode: string,
  type: TreeEntry['type'],
  sha: string,
): [string, FileEntry][] {
  const objects = objectStore(forge.state, repo.id)
  if (type === 'tree' && objects.findTree(sha))
    return [...objects.files(sha)].map(([below, entry]) => [`${path}/${below}`, entry])
  const blob = type === 'blob' ? forge.state.blobs.findBy('sha', sha).find((row) => row.repo_id === repo.id) : undefined
  const known = type === 'blob' ? blob !== undefined : type === 'commit' && /^[0-9a-f]{40}$/.test(sha)
  if (!known) throw invalid(`tree.sha ${sha} is not a valid ${type}`)
  return [[path, { mode, type, sha, ...(blob ? { size: blob.size } : {}) }]]
}

// The rules of git check-ref-format.
function validRef(ref: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  const forbidden = /[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\/\/|\/\.|\.lock(?:\/|$)|[/.]$/
  return !forbidden.test(ref)
}

function wellFormed(path: string): boolean {
  return (
    !path.includes('\0') &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && part.toLowerCase() !== '.git')
  )
}

/** Correct what the emulator writes into its tables: real names for annotated tags, and which commits are signed. */
export function correctObjects(forge: Pick<Forge, 'state' | 'signed'>): void {
  const { tags, commits } = forge.state
  const insertTag = tags.insert.bind(tags)
  tags.insert = (tag) =>
    insertTag({ ...tag, sha: objectSha('tag', tagContent({ ...tag, id: 0, created_at: '', updated_at: '' })) })
  const insertCommit = commits.insert.bind(commits)
  commits.insert = (commit) => {
    if (requestContext.getStore()?.signed) forge.signed.add(commit.sha)
    return insertCommit(commit)
  }
}
