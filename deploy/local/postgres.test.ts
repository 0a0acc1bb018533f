import { spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startPostgres, type Postgres } from './postgres.ts'

let folder: string
let dataDir: string
const started: Postgres[] = []

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'postgres-test-'))
  fs.chmodSync(folder, 0o711)
  dataDir = join(folder, 'data')
})

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()))
  fs.rmSync(folder, { recursive: true, force: true })
})

async function start(port?: number): Promise<Postgres> {
  const server = await startPostgres({ dataDir, durable: false, ...(port === undefined ? {} : { port }) })
  started.push(server)
  return server
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

test('data outlives a stop, on the loopback address and with a password only', async () => {
  const first = await start()
  await query(first.url, 'create table kept as select 1 as id')
  await first.stop()
  const second = await start()
  expect(await query(second.url, 'select id from kept')).toEqual([{ id: 1 }])
  expect(await query(second.url, 'show listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }])
  await expect(query(second.url.replace(/:[^:@]+@/, ':wrong@'), 'select 1')).rejects.toThrow(/password/)
  expect(fs.statSync(`${dataDir}.password`).mode & 0o777).toBe(0o600)
})

test('a start after the starter was killed takes the data over from the server left behind', async () => {
  const module = new URL('./postgres.ts', import.meta.url).href
  const script = `import { startPostgres } from '${module}'
    const server = await startPostgres({ dataDir: '${dataDir}', durable: false })
    console.log(server.url)
    setInterval(() => {}, 1000)`
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [chunk] = (await once(starter.stdout, 'data')) as [Buffer]
  await query(chunk.toString().trim(), 'create table kept as select 1 as id')
  await expect(start()).rejects.toThrow(`another copy is running on this database: process ${starter.pid}`)
  starter.kill('SIGKILL')
  await once(starter, 'exit')
  const server = await start()
  expect(await query(server.url, 'select id from kept')).toEqual([{ id: 1 }])
})

test('a killed server is reported once, and started again', async () => {
  const server = await start()
  const pid = Number(fs.readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0])
  process.kill(pid, 'SIGKILL')
  expect(await server.died).toMatch(/^the database server ended \(SIGKILL\), see /)
  const again = await start()
  expect(await query(again.url, 'select 1 as one')).toEqual([{ one: 1 }])
})

test('a busy port is named', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await expect(start(port)).rejects.toThrow(`port ${port} is in use: stop what uses it, or choose another port`)
  server.close()
})

test('an old or foreign data directory is named with what to do', async () => {
  const server = await start()
  await server.stop()
  fs.writeFileSync(join(dataDir, 'PG_VERSION'), '17\n')
  await expect(start()).rejects.toThrow(`made by PostgreSQL 17, this is 18; move it away, or delete it`)
  fs.rmSync(join(dataDir, 'PG_VERSION'))
  await expect(start()).rejects.toThrow('this is not a PostgreSQL data directory; move it away')
})

test('what an interrupted first start left is cleared away', async () => {
  fs.mkdirSync(`${dataDir}.new-4194305`)
  await start()
  expect(fs.readdirSync(folder).filter((name) => name.includes('.new-'))).toEqual([])
})
