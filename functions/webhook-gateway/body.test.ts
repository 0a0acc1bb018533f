import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { IncomingMessage } from 'node:http'
import { connect as openSocket, Socket } from 'node:net'
import { describe, expect, onTestFinished } from 'vitest'
import { MAX_BODY_BYTES, readBody } from './body.ts'
import {
  addHook,
  addProject,
  deliver,
  exchange,
  head,
  labeled,
  startGateway,
  test,
  type Gateway,
} from './testing/gateway.ts'

/** The gateway's side of every connection from now on. */
function acceptedSockets(): readonly Socket[] {
  const sockets: Socket[] = []
  const onSocket = (message: unknown) => void sockets.push((message as { socket: Socket }).socket)
  subscribe('net.server.socket', onSocket)
  onTestFinished(() => void unsubscribe('net.server.socket', onSocket))
  return sockets
}

/** Sends 64 KiB chunks, so many or without end, until the other side has had enough; returns the answer. */
function pour(gateway: Gateway, start: string, chunks = Infinity): Promise<string> {
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536, 0x20), Buffer.from('\r\n')])
  const { hostname, port } = new URL(gateway.url)
  return new Promise((resolve) => {
    let answer = ''
    let left = chunks
    const socket = openSocket(Number(port), hostname)
    const more = () => {
      while (left-- > 0 && socket.writable && socket.write(chunk)) {
        // The buffer takes more.
      }
    }
    socket.on('data', (data) => (answer += data.toString('latin1')))
    socket.on('drain', more)
    // Who goes on sending after the answer gets a reset, and may get it before the answer.
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
    socket.write(start)
    more()
  })
}

describe('the size of a body', () => {
  test('W11: a declared length above the limit is refused with nothing read', async ({ databaseUrl }) => {
    const gateway = await startGateway(databaseUrl)
    const sockets = acceptedSockets()
    const start = head('nosuchhook', [`content-length: ${MAX_BODY_BYTES + 1}`])
    const answer = await exchange(gateway.url, start)
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toContain('application/problem+json')
    expect(sockets.map(({ bytesRead }) => bytesRead)).toEqual([start.length])
  })

  test('W11: a body without a length is refused at the chunk that passes the limit', async ({ databaseUrl }) => {
    const gateway = await startGateway(databaseUrl)
    const start = head('nosuchhook', ['transfer-encoding: chunked'])
    expect(await pour(gateway, start, MAX_BODY_BYTES / 65_536 + 1)).toMatch(/^HTTP\/1\.1 413 /)
  })

  test('W26: a body without an end is cut, and little more than the limit was read', async ({ databaseUrl }) => {
    const gateway = await startGateway(databaseUrl)
    const sockets = acceptedSockets()
    const start = head('nosuchhook', ['transfer-encoding: chunked'])
    await pour(gateway, start)
    expect(sockets).toHaveLength(1)
    // Beyond the limit only the read that passed it.
    const framing = start.length + (MAX_BODY_BYTES / 65_536 + 2) * 9
    expect(sockets[0]?.bytesRead).toBeLessThanOrEqual(MAX_BODY_BYTES + 65_536 + framing)
    expect(sockets[0]?.bytesRead).toBeGreaterThan(MAX_BODY_BYTES)
  })

  test('W26: on other paths and methods a body without an end is cut at once', async ({ databaseUrl }) => {
    const gateway = await startGateway(databaseUrl)
    const sockets = acceptedSockets()
    const start = head('x', ['transfer-encoding: chunked'])
    await pour(gateway, start.replace('/hooks/github/x', '/other'))
    await pour(gateway, start.replace('POST', 'PUT'))
    expect(sockets).toHaveLength(2)
    for (const { bytesRead } of sockets) expect(bytesRead).toBeLessThan(1024 * 1024)
  })

  test('W11: exactly 25 MiB is taken', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 42))
    const short = JSON.stringify(labeled(42))
    const body = Buffer.from(short + ' '.repeat(MAX_BODY_BYTES - short.length))
    expect((await deliver(gateway, hook, { body })).status).toBe(202)
    expect(
      (await deliver(gateway, hook, { body: Buffer.concat([body, Buffer.from(' ')]) }).catch(() => ({ status: 413 })))
        .status,
    ).toBe(413)
    expect(await db.selectFrom('inbox').select('id').execute()).toHaveLength(1)
  })

  test('W11: more body than declared is no part of it', async ({ databaseUrl }) => {
    const gateway = await startGateway(databaseUrl)
    const answer = await exchange(
      gateway.url,
      head('nosuchhook', ['content-length: 10']),
      Buffer.alloc(30_000_000, 0x20),
    )
    // The parser may stumble over the rest before the database has answered for the beginning.
    expect(answer).toMatch(/^HTTP\/1\.1 (400 |401 .*HTTP\/1\.1 400 )/s)
  })

  test('a body whose sender was gone before it was looked at has ended early, too, and is not waited for', async () => {
    const incoming = new IncomingMessage(new Socket())
    incoming.destroy()
    await once(incoming, 'close')
    expect(((await readBody(incoming)) as Response).status).toBe(400)
  })

  test('a body that ends early is refused, and nobody else notices', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 42))
    const { hostname, port } = new URL(gateway.url)
    await new Promise<void>((resolve) => {
      const socket = openSocket(Number(port), hostname, () =>
        socket.end(`${head(hook, ['content-length: 100'])}{`, () => socket.destroy()),
      )
      socket.on('close', () => resolve())
    })
    expect((await deliver(gateway, hook, { body: labeled(42) })).status).toBe(202)
  })

  test.for([
    ['negative', ['content-length: -1']],
    ['no number', ['content-length: 1e9']],
    ['hexadecimal', ['content-length: 0x10']],
    ['declared twice', ['content-length: 10', 'content-length: 10']],
    ['declared twice in one line', ['content-length: 10, 11']],
    ['declared and chunked', ['content-length: 10', 'transfer-encoding: chunked']],
    ['chunked in an unknown way', ['transfer-encoding: chunked, identity']],
  ] as const)('W11: a length that is %s is a bad request', async ([, headers], { expect: check }) => {
    const gateway = await startGateway('postgres://nobody@127.0.0.1:9/none')
    check(await exchange(gateway.url, head('nosuchhook', headers), '{}')).toMatch(/^HTTP\/1\.1 400 /)
  })
})
