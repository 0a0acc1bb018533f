import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import pg from 'pg'

// The floor under a durable receiver: node:http, the signature, one INSERT, 202. No limits, no event, no relay.
const { DATABASE_URL = '', SECRET = '' } = process.env
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 5, application_name: 'one-insert' })
await pool.query(
  'create table if not exists one_insert (id text primary key, event text, body bytea, received_at timestamptz default now())',
)
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    receive(request, Buffer.concat(chunks)).then(
      (status) => response.writeHead(status).end(),
      () => response.writeHead(503).end(),
    )
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, () => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`{"url":"http://127.0.0.1:${port}","msg":"listening"}\n`)
})
process.once('SIGTERM', () => process.exit(0))

async function receive({ headers }: IncomingMessage, body: Buffer): Promise<number> {
  const wanted = Buffer.from(`sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`)
  const given = Buffer.from(String(headers['x-hub-signature-256']))
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return 401
  JSON.parse(body.toString('utf8'))
  const values = [headers['x-github-delivery'], headers['x-github-event'], body]
  await pool.query('insert into one_insert (id, event, body) values ($1, $2, $3) on conflict do nothing', values)
  return 202
}
