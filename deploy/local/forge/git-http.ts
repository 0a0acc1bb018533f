import { spawn } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'

import type { Caller } from './credentials.ts'
import type { Forge } from './forge.ts'
import type { GitRepositories } from './git-repository.ts'
import { mayRead } from './permissions.ts'
import { ApiError } from './reply.ts'
import type { RepoRow } from './rows.ts'

const ROUTE = /^\/([^/]+)\/([^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/

/** Whether a request is git's and not the API's. */
export const isGitRequest = (path: string): boolean => ROUTE.test(path)

/** Git smart HTTP, read only, on bare repositories that follow the emulator. */
export async function serveGit(
  forge: Forge,
  repositories: GitRepositories,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', forge.url)
  const [, owner = '', name = '', service = ''] = ROUTE.exec(url.pathname) ?? []
  const query = url.searchParams.get('service')
  const plain = (status: number, text: string, headers = {}) =>
    response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(`${text}\n`)
  const challenge = { 'www-authenticate': 'Basic realm="GitHub"' }

  let caller: Caller
  try {
    caller = forge.credentials.identify(request.headers.authorization)
  } catch (error) {
    if (error instanceof ApiError) return void plain(401, 'Invalid username or token.', challenge)
    throw error
  }
  if (service === 'git-receive-pack' || query === 'git-receive-pack')
    return void plain(403, 'Write access to repository not granted.')
  if (service === 'info/refs' && query !== 'git-upload-pack') return void plain(403, 'Please upgrade your git client.')
  const full = `${owner}/${name}`.toLowerCase()
  const repo = forge.state.repos.all().find((row) => row.full_name.toLowerCase() === full)
  if (!repo || !mayReadContents(forge, caller, repo)) {
    return void (caller.kind === 'anonymous'
      ? plain(401, 'Repository not found.', challenge)
      : plain(404, 'Repository not found.'))
  }
  await repositories.refresh(repo)
  backend(repositories.root, `/${repo.full_name}.git/${service}`, url.search.slice(1), request, response)
}

function mayReadContents(forge: Forge, caller: Caller, repo: RepoRow): boolean {
  if (!mayRead(forge, caller, repo) || caller.kind === 'app') return false
  return !repo.private || caller.kind !== 'installation' || caller.grant.permissions['contents'] !== undefined
}

function backend(root: string, path: string, query: string, request: IncomingMessage, response: ServerResponse): void {
  const header = (name: string) => String(request.headers[name] ?? '')
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      HOME: root,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: path,
      QUERY_STRING: query,
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: header('content-type'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      GIT_PROTOCOL: header('git-protocol'),
      ...(request.headers['content-length'] ? { CONTENT_LENGTH: header('content-length') } : {}),
    },
  })
  child.on('error', () => response.destroy())
  child.stdin.on('error', () => undefined)
  response.on('close', () => child.kill())
  request.pipe(child.stdin)

  let head = Buffer.alloc(0)
  const onData = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    child.stdout.off('data', onData)
    const fields = head
      .subarray(0, end)
      .toString('latin1')
      .split('\r\n')
      .map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon), line.slice(colon + 1).trim()]
      })
    const status = Number.parseInt(fields.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200', 10)
    response.writeHead(status, Object.fromEntries(fields.filter(([name]) => name.toLowerCase() !== 'status')))
    response.write(head.subarray(end + 4))
    child.stdout.pipe(response)
  }
  child.stdout.on('data', onData)
  child.stdout.on('end', () => {
    if (!response.headersSent) response.writeHead(500).end()
  })
}
