import { spawn } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Answers one request of git's smart HTTP protocol with `git http-backend`; fetches only. `path` is behind the repository. */
export function serveGit(directory: string, path: string, request: IncomingMessage, response: ServerResponse): void {
  const query = (request.url ?? '').split('?')[1] ?? ''
  if (query === 'service=git-receive-pack' || path === '/git-receive-pack') {
    response.writeHead(403).end()
    return
  }
  const header = (name: string): string => String(request.headers[name] ?? '')
  const child = spawn('git', ['-c', 'uploadpack.allowAnySHA1InWant=true', '-c', 'safe.directory=*', 'http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'] ?? '',
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
      PATH_INFO: `/.git${path}`,
      QUERY_STRING: query,
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: header('content-type'),
      CONTENT_LENGTH: header('content-length'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      GIT_PROTOCOL: header('git-protocol'),
    },
  })
  request.pipe(child.stdin)
  let head = Buffer.alloc(0)
  let started = false
  child.stdout.on('data', (bytes: Buffer) => {
    if (started) return void response.write(bytes)
    head = Buffer.concat([head, bytes])
    const end = head.indexOf('\r\n\r\n')
    if (end === -1) return
    started = true
    let status = 200
    const headers: [string, string][] = []
    for (const line of head.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(/: (.*)/s)
      if (name === 'Status') status = Number.parseInt(value, 10)
      else headers.push([name, value])
    }
    response.writeHead(status, headers.flat())
    response.write(head.subarray(end + 4))
  })
  child.stdout.on('end', () => response.end())
}
