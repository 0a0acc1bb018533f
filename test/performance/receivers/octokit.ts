import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createNodeMiddleware, Webhooks } from '@octokit/webhooks'

// The peer: Octokit's own receiver behind node:http, which is what receives in Probot. It keeps nothing.
const webhooks = new Webhooks({ secret: process.env['SECRET'] ?? '' })
webhooks.onAny(() => {})
const server = createServer(createNodeMiddleware(webhooks, { path: process.env['HOOK_PATH'] ?? '/' }) as never)
server.keepAliveTimeout = 60_000
server.listen(0, () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`{"url":"http://127.0.0.1:${port}","msg":"listening"}\n`)
})
process.once('SIGTERM', () => process.exit(0))
