import { gzipSync } from 'node:zlib'
import { describe, expect } from 'vitest'
import { addHook, addProject, deliver, exchange, head, labeled, sign, startGateway, test } from './testing/gateway.ts'

describe('the headers of a delivery', () => {
  test('W13: no content encoding but identity is taken, so that nothing unpacks', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 42))
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, 0x20))
    for (const encoding of ['gzip', 'br', 'deflate', 'gzip, gzip', 'identity, gzip', 'x']) {
      const answer = await deliver(gateway, hook, { body: bomb, headers: { 'content-encoding': encoding } })
      expect([encoding, answer.status, answer.json['code']]).toEqual([encoding, 415, 'unsupported_encoding'])
    }
    const plain = await deliver(gateway, hook, { body: labeled(42), headers: { 'content-encoding': 'identity' } })
    expect(plain.status).toBe(202)
  })

  test('W18: only JSON is taken, and a form is told what to change', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 42))
    const status = async (type: string) =>
      (await deliver(gateway, hook, { body: labeled(42), headers: { 'content-type': type } })).status
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'Application/JSON;charset=UTF-8',
      'application/json; charset="utf-8"',
    ]) {
      expect([type, await status(type)]).toEqual([type, 202])
    }
    for (const type of [
      'text/plain',
      'application/json; charset=utf-16',
      'multipart/form-data; boundary=x',
      'application/jsonx',
      'application/json, text/plain',
      '',
    ]) {
      expect([type, await status(type)]).toEqual([type, 415])
    }
    const form = await deliver(gateway, hook, {
      body: `payload=${encodeURIComponent(JSON.stringify(labeled(42)))}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect([form.status, form.json['detail']]).toEqual([415, 'set content type to application/json'])
    const body = JSON.stringify(labeled(42))
    const signature = `x-hub-signature-256: ${sign(body)}`
    const untyped = head(hook, [signature, `content-length: ${body.length}`, 'connection: close']).replace(
      'content-type: application/json\r\n',
      '',
    )
    expect(await exchange(gateway.url, untyped, body)).toMatch(/^HTTP\/1\.1 415 /)
  })

  test('a missing, repeated or malformed delivery id or event name is a bad request', async ({ databaseUrl, db }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 42))
    const body = JSON.stringify(labeled(42))
    const send = (change: (start: string) => string) =>
      exchange(
        gateway.url,
        change(
          head(hook, [`x-hub-signature-256: ${sign(body)}`, `content-length: ${body.length}`, 'connection: close']),
        ),
        body,
      )
    const id = 'x-github-delivery: 1\r\n'
    const event = 'x-github-event: issues\r\n'
    expect(await send((start) => start)).toMatch(/^HTTP\/1\.1 202 /)
    for (const other of [
      '',
      id + id,
      'x-github-delivery:\r\n',
      ...['a b', 'a%41', 'a"b', '\u00e9', 'a\u007fb', 'x'.repeat(101)].map(
        (value) => `x-github-delivery: ${value}\r\n`,
      ),
    ]) {
      expect(`${other} -> ${await send((start) => start.replace(id, other))}`).toContain('-> HTTP/1.1 400 ')
    }
    for (const other of [
      '',
      event + event,
      ...['Issues', 'issues;', '../x', 'x'.repeat(61)].map((value) => `x-github-event: ${value}\r\n`),
    ]) {
      expect(`${other} -> ${await send((start) => start.replace(event, other))}`).toContain('-> HTTP/1.1 400 ')
    }
    expect(await db.selectFrom('inbox').select('id').execute()).toHaveLength(1)
  })

  test('W1: a signature that came twice, or with NUL in it, is refused without an error', async ({
    databaseUrl,
    db,
  }) => {
    const gateway = await startGateway(databaseUrl)
    const hook = await addHook(db, await addProject(db, 42))
    const body = JSON.stringify(labeled(42))
    const line = `x-hub-signature-256: ${sign(body)}`
    const rest = [`content-length: ${body.length}`, 'connection: close']
    expect(await exchange(gateway.url, head(hook, [line, line, ...rest]), body)).toMatch(/^HTTP\/1\.1 401 /)
    expect(await exchange(gateway.url, head(hook, [`${line}\0`, ...rest]), body)).toMatch(/^HTTP\/1\.1 400 /)
    expect(await db.selectFrom('inbox').select('id').execute()).toEqual([])
  })
})

describe('the route', () => {
  test('W19: knows no method but POST', async ({ databaseUrl }) => {
    const gateway = await startGateway(databaseUrl)
    for (const method of ['GET', 'PUT', 'HEAD', 'TRACE', 'OPTIONS', 'DELETE', 'PATCH', 'PURGE']) {
      const answer = await exchange(gateway.url, head('nosuchhook', ['connection: close']).replace('POST', method))
      expect(`${method} -> ${answer}`).toMatch(/-> HTTP\/1\.1 405 .*\r\nallow: POST\r\n/is)
    }
  })

  test('W19: is the only one besides /healthz; every other path has one answer', async ({ databaseUrl }) => {
    const gateway = await startGateway(databaseUrl)
    const ask = async (method: string, path: string) => {
      const start = head('x', ['content-length: 2', 'connection: close']).replace(
        'POST /hooks/github/x',
        `${method} ${path}`,
      )
      const [lines = '', body = ''] = (await exchange(gateway.url, start, '{}')).split('\r\n\r\n')
      return [Number(lines.slice(9, 12)), body] as const
    }
    const [, notFound] = await ask('POST', '/')
    const paths = [
      '/',
      '/hooks',
      '/hooks/',
      '/hooks/github',
      '/hooks/github/',
      '/hooks/gitlab/nosuchhook',
      '/hooks/github/a/b',
      '/hooks/../api',
      '/hooks/%2e%2e/api',
      '//hooks/github/x',
      '/sweep',
      '/hooks/github/%2e%2e/%2e%2e/sweep',
      '/HOOKS/github/x',
      `/${'x'.repeat(300)}`,
    ]
    for (const path of paths) expect([path, ...(await ask('POST', path))]).toEqual([path, 404, notFound])
    expect(notFound.length).toBeLessThanOrEqual(512)
    expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200)
    expect((await ask('POST', '/healthz'))[0]).toBe(404)
  })
})
