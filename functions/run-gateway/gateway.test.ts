import { sql } from 'kysely'
import { describe, expect } from 'vitest'
import type { Db } from '#shared/db/connect.ts'
import { sha256 } from '#shared/digest.ts'
import { MAX_BLOB_BYTES } from '#shared/job/result.ts'
import { addAttempt, runNow, saidOf } from '#shared/run/testing/rows.ts'
import { failed, gateway, succeeded, tokenOf } from './testing/gateway.ts'
import { test } from './testing/test.ts'

const open = [
  ['GET', '/v1/input'],
  ['GET', `/v1/blobs/${sha256('x')}`],
  ['PUT', `/v1/blobs/${sha256('x')}`],
  ['POST', '/v1/progress'],
  ['POST', '/v1/heartbeat'],
  ['POST', '/v1/result'],
  ['GET', '/v1/git/info/refs?service=git-upload-pack'],
  ['POST', '/v1/git/git-upload-pack'],
] as const
const progress = (sequence: number, text = 'npm test') => ({ sequence, kind: 'command', text })
const attempts = (db: Db) => db.selectFrom('attempts').select(['state', 'result_digest']).orderBy('fence').execute()

test('a heartbeat is the last that was seen of an attempt, and of one that is over it is refused', async ({ db }) => {
  const { call, run } = gateway(db)
  const { token, run: of } = await run()
  const seen = () => db.selectFrom('attempts').select('last_seen_at').executeTakeFirstOrThrow()
  expect((await seen()).last_seen_at).toBeNull()
  expect(await call('POST', '/v1/heartbeat', { token })).toMatchObject({ status: 204 })
  expect((await seen()).last_seen_at).not.toBeNull()
  await db.updateTable('runs').set({ state: 'cancelled', reason: 'label_removed' }).where('id', '=', of.id).execute()
  expect(await call('POST', '/v1/heartbeat', { token })).toMatchObject({ status: 409, code: 'run_over' })
})

describe('whose word counts', () => {
  test('J8 without a token that we made for this door, none of the doors opens', async ({ db }) => {
    const { call, run } = gateway(db)
    const { attempt, token } = await run()
    const [audience, id, number, fence, mac = ''] = token.split('.')
    const other = await run()
    const forged = [
      ['none', undefined],
      ['empty', ''],
      ['of the model-gateway', tokenOf(attempt, 'model')],
      ['with another run', [audience, other.run.id, number, fence, mac].join('.')],
      ['with another attempt', [audience, id, '2', fence, mac].join('.')],
      ['with another fence', [audience, id, number, '999999', mac].join('.')],
      ['with another audience', ['model', id, number, fence, mac].join('.')],
      ['with one letter changed', token.slice(0, -2) + (token.at(-2) === 'A' ? 'B' : 'A') + token.slice(-1)],
      ['cut', token.slice(0, -1)],
      ['in capitals', token.toUpperCase()],
    ] as const
    for (const [, bad] of forged) {
      for (const [method, path] of open) {
        const answer = await call(method, path, {
          ...(bad === undefined ? {} : { token: bad }),
          ...(method === 'GET' ? {} : { body: '{}' }),
        })
        expect(answer, `${method} ${path}`).toMatchObject({ status: 401, code: 'unauthorized' })
      }
    }
    expect(await attempts(db)).toMatchObject([{ state: 'created' }, { state: 'created' }])
  })

  test("J8 another run's token opens that run's input and no other", async ({ db }) => {
    const { call, run } = gateway(db)
    const [mine, other] = [await run(), await run()]
    expect(JSON.parse((await call('GET', '/v1/input', mine)).text)).toMatchObject({ run: mine.run.id, attempt: 1 })
    expect(JSON.parse((await call('GET', '/v1/input', other)).text)).toMatchObject({ run: other.run.id })
  })

  test.for<[string, string, (db: Db, run: string) => Promise<unknown>]>([
    [
      'of an older attempt',
      'fenced',
      (db, run) =>
        db
          .updateTable('attempts')
          .set({ state: 'lost' })
          .execute()
          .then(() => addAttempt(db, run)),
    ],
    [
      'after the run was cancelled',
      'run_over',
      (db) => db.updateTable('runs').set({ state: 'cancelled', reason: 'superseded' }).execute(),
    ],
    [
      'after the attempt was given up',
      'attempt_closed',
      (db) => db.updateTable('attempts').set({ state: 'lost' }).execute(),
    ],
    [
      'after its deadline',
      'deadline_exceeded',
      (db) =>
        db
          .updateTable('attempts')
          .set({ deadline_at: sql`now() - interval '1 ms'` })
          .execute(),
    ],
  ])('J8 a token %s is refused for good: %s', async ([, code, change], { db }) => {
    const { call, run } = gateway(db)
    const { token, run: of } = await run()
    await call('PUT', `/v1/blobs/${sha256('hello\n')}`, { token, body: 'hello\n' })
    await change(db, of.id)
    for (const [method, path] of open) {
      const body = path === '/v1/result' ? succeeded() : progress(1)
      const answer = await call(method, path, { token, ...(method === 'GET' ? {} : { body }) })
      expect(answer, `${method} ${path}`).toMatchObject({ status: 409, code })
    }
    expect(await saidOf(db, of.id)).toEqual([])
  })

  test('J8 ids in query, headers and body move nothing: the token alone says who speaks', async ({ db }) => {
    const { call, run } = gateway(db)
    const [mine, other] = [await run(), await run()]
    const swapped = { 'x-run-id': other.run.id, 'x-attempt': '1' }
    const answer = await call('POST', `/v1/result?run=${other.run.id}`, { ...mine, headers: swapped, body: failed() })
    expect(answer.status).toBe(202)
    expect((await runNow(db, mine.run.id)).state).toBe('failed')
    expect((await runNow(db, other.run.id)).state).toBe('running')
    expect((await call('POST', '/v1/result', { ...other, body: failed({ run: mine.run.id }) })).status).toBe(422)
  })
})

describe('the input', () => {
  test('is the bundle, and its blobs are the three that it names', async ({ db }) => {
    const { call, run } = gateway(db)
    const texts = { instructions: 'Do it.', content: '{"title":"t"}', outputSchema: '{"type":"object"}' }
    const { token, run: of } = await run({ texts })
    const input = JSON.parse((await call('GET', '/v1/input', { token })).text) as {
      digest: string
      manifest: Record<string, string>
    }
    expect(input.digest).toBe(of.bundle_digest)
    for (const [name, text] of Object.entries(texts)) {
      expect(await call('GET', `/v1/blobs/${input.manifest[name]}`, { token })).toMatchObject({ status: 200, text })
    }
  })

  test("J8 a blob that is not in the bundle is not there, not even the attempt's own upload or another run's input", async ({
    db,
  }) => {
    const { call, run } = gateway(db)
    const { token } = await run()
    await run({ texts: { instructions: 'secret of another', content: '{}', outputSchema: '{}' } })
    await call('PUT', `/v1/blobs/${sha256('mine')}`, { token, body: 'mine' })
    const digests = [
      sha256('mine'),
      sha256('secret of another'),
      '../../etc/passwd',
      '..%2f..%2fetc%2fpasswd',
      sha256('Do it.').toUpperCase(),
      `${sha256('Do it.')}0`,
      'x',
    ]
    for (const digest of digests)
      expect([digest, (await call('GET', `/v1/blobs/${digest}`, { token })).status]).toEqual([digest, 404])
  })
})

describe('an upload', () => {
  test('is kept under its digest, once, however often it is sent', async ({ db }) => {
    const { call, run } = gateway(db)
    const { token } = await run()
    const body = 'hello\n'
    const answers = await Promise.all([1, 2, 3].map(() => call('PUT', `/v1/blobs/${sha256(body)}`, { token, body })))
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [204, ''],
      [204, ''],
      [204, ''],
    ])
    expect(await db.selectFrom('uploads').select('digest').execute()).toEqual([{ digest: sha256(body) }])
  })

  test('J8 with other bytes than its digest says is refused and nothing of it is kept', async ({ db }) => {
    const { call, run } = gateway(db)
    const { token } = await run()
    const digest = sha256('what it claims')
    expect(await call('PUT', `/v1/blobs/${digest}`, { token, body: 'what it is' })).toMatchObject({
      status: 400,
      code: 'digest_mismatch',
    })
    expect(await call('PUT', '/v1/blobs/..%2fx', { token, body: 'x' })).toMatchObject({ status: 404 })
    expect(await db.selectFrom('uploads').select('digest').execute()).toEqual([])
    expect(await db.selectFrom('blobs').select('digest').where('digest', '=', digest).execute()).toEqual([])
  })

  test('of 8 MiB is taken, of one byte more is refused, counted also where no length was given', async ({ db }) => {
    const { call, run, app } = gateway(db)
    const { token } = await run()
    const most = new Uint8Array(MAX_BLOB_BYTES)
    expect((await call('PUT', `/v1/blobs/${sha256(most)}`, { token, body: most })).status).toBe(204)
    const more = new Uint8Array(MAX_BLOB_BYTES + 1)
    expect((await call('PUT', `/v1/blobs/${sha256(more)}`, { token, body: more })).status).toBe(413)
    const stream = new Blob([more]).stream()
    const request = new Request(`http://gateway/v1/blobs/${sha256(more)}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}` },
      body: stream,
      duplex: 'half',
    } as RequestInit)
    expect((await app.fetch(request)).status).toBe(413)
  })

  test('beyond 256 MiB of one attempt is refused, also of those that come side by side; what is there stays there', async ({
    db,
  }) => {
    const { call, run } = gateway(db)
    const { token, run: of } = await run()
    // Two uploads of 8 MiB fit beside what is claimed here: zeros, which the database keeps compressed.
    for (let index = 1; index <= 30; index += 1) {
      const bytes = Buffer.alloc(MAX_BLOB_BYTES, index)
      await db
        .insertInto('blobs')
        .values({
          digest: sha256(String(index)),
          bytes: sql`decode(repeat(${(index % 10).toString().repeat(2)}, ${bytes.length}), 'hex')`,
        })
        .execute()
      await db
        .insertInto('uploads')
        .values({ run_id: of.id, attempt: 1, digest: sha256(String(index)) })
        .execute()
    }
    await openConnections(db, 5)
    const bodies = [41, 42, 43, 44].map((byte) => new Uint8Array(MAX_BLOB_BYTES).fill(byte))
    const put = (body: Uint8Array<ArrayBuffer>) => call('PUT', `/v1/blobs/${sha256(body)}`, { token, body })
    const answers = await Promise.all(bodies.map(put))
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['204', '204', '413', '413'])
    const kept = bodies[answers.findIndex(({ status }) => status === 204)] as Uint8Array<ArrayBuffer>
    expect((await put(kept)).status).toBe(204)
  }, 120_000)
})

/** One after the other: on a busy machine several at once take longer than anybody waits for one. */
async function openConnections(db: Db, count: number): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await sql`select`.execute(tx)
    if (count > 1) await openConnections(db, count - 1)
  })
}

describe('progress', () => {
  test('is kept once per sequence number, and told at most every ten seconds by the clock of the database', async ({
    db,
  }) => {
    const { call, run } = gateway(db)
    const { token, run: of } = await run()
    const send = (sequence: number, text?: string) =>
      call('POST', '/v1/progress', { token, body: progress(sequence, text) })
    expect(await Promise.all([send(1), send(1), send(2)])).toMatchObject([
      { status: 204 },
      { status: 204 },
      { status: 204 },
    ])
    expect((await send(2, 'another text')).status).toBe(204)
    expect(await saidOf(db, of.id)).toEqual(['run.progressed'])

    await db
      .updateTable('attempts')
      .set({ progressed_at: sql`now() - interval '9 seconds'` })
      .execute()
    await send(3)
    expect(await saidOf(db, of.id)).toEqual(['run.progressed'])
    await db
      .updateTable('attempts')
      .set({ progressed_at: sql`now() - interval '11 seconds'` })
      .execute()
    await send(4)
    expect(await saidOf(db, of.id)).toEqual(['run.progressed', 'run.progressed'])
    const lines = await db.selectFrom('progress').select(['sequence', 'text']).orderBy('sequence').execute()
    expect(lines.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4])
    expect(lines[1]?.text).toBe('npm test')
  })

  test.for([
    ['a NUL', '{"sequence":1,"kind":"command","text":"a\\u0000"}'],
    ['half a surrogate pair', '{"sequence":1,"kind":"command","text":"\\ud800"}'],
    ['another kind', '{"sequence":1,"kind":"canary","text":"x"}'],
    ['a number beyond all', '{"sequence":1e999,"kind":"command","text":"x"}'],
    ['more than the schema has', '{"sequence":1,"kind":"command","text":"x","canary":1}'],
    ['no JSON', 'canary'],
  ])('with %s is refused for good, without a word of it', async ([, body = ''], { db }) => {
    const { call, run, lines } = gateway(db)
    const { token } = await run()
    const answer = await call('POST', '/v1/progress', { token, body })
    expect(answer.status).toBe(422)
    expect(answer.text + lines.join('')).not.toContain('canary')
  })

  test('of more than 4 KiB is refused', async ({ db }) => {
    const { call, run } = gateway(db)
    expect(
      (await call('POST', '/v1/progress', { ...(await run()), body: progress(1, 'x'.repeat(5_000)) })).status,
    ).toBe(413)
  })
})

describe('a result', () => {
  test('is taken once; the same again is a success, another one a conflict', async ({ db }) => {
    const { call, run } = gateway(db)
    const { token, run: of } = await run()
    await call('PUT', `/v1/blobs/${sha256('hello\n')}`, { token, body: 'hello\n' })
    const send = (body: object) => call('POST', '/v1/result', { token, body })
    const answers = await Promise.all([send(succeeded()), send(succeeded()), send(succeeded())])
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [202, ''],
      [202, ''],
      [202, ''],
    ])
    expect((await send(succeeded())).status).toBe(202)
    expect(await send(succeeded('hello\n', { message: { title: 'x' } }))).toMatchObject({
      status: 409,
      code: 'conflict',
    })
    expect(await send(failed())).toMatchObject({ status: 409, code: 'conflict' })
    expect((await runNow(db, of.id)).state).toBe('publishing')
    expect(await saidOf(db, of.id)).toEqual(['run.finished'])
    // Over for everything else.
    expect(await call('GET', '/v1/input', { token })).toMatchObject({ status: 409, code: 'run_over' })
  })

  test('that says why there is none fails the run with that reason', async ({ db }) => {
    const { call, run } = gateway(db)
    const { token, run: of } = await run()
    expect((await call('POST', '/v1/result', { token, body: failed({ reason: 'budget_exhausted' }) })).status).toBe(202)
    expect(await runNow(db, of.id)).toMatchObject({
      state: 'failed',
      reason: 'budget_exhausted',
      detail: 'It fell over.',
    })
    expect(await saidOf(db, of.id)).toEqual(['run.failed'])
  })

  test('J8 may name only blobs that this very attempt uploaded', async ({ db }) => {
    const { call, run } = gateway(db)
    const [mine, other] = [await run(), await run()]
    const body = 'hello\n'
    await call('PUT', `/v1/blobs/${sha256(body)}`, { ...other, body })
    const answers = await Promise.all(
      [succeeded(), failed({ log: sha256(body) }), succeeded('', { changes: [], session: sha256(body) })].map(
        (result) => call('POST', '/v1/result', { ...mine, body: result }),
      ),
    )
    expect(answers).toMatchObject([1, 2, 3].map(() => ({ status: 400, code: 'unknown_blob' })))

    await call('PUT', `/v1/blobs/${sha256(body)}`, { ...mine, body })
    await db.updateTable('attempts').set({ state: 'lost' }).where('run_id', '=', mine.run.id).execute()
    const second = await addAttempt(db, mine.run.id)
    expect(await call('POST', '/v1/result', { token: tokenOf(second), body: succeeded() })).toMatchObject({
      status: 400,
    })
  })

  const deep = `${'['.repeat(100)}${']'.repeat(100)}`
  const bottomless = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  test.for<[string, string]>([
    ['no JSON', '{canary'],
    ['a list', '["canary"]'],
    ['another outcome', JSON.stringify({ outcome: 'canary' })],
    ['a reason that is not ours', JSON.stringify(failed({ reason: 'canary' }))],
    ['a detail of 501 characters', JSON.stringify(failed({ detail: 'canary'.repeat(84) }))],
    ['a key too much', JSON.stringify(failed({ canary: 1 }))],
    ['a key too much with a line break', JSON.stringify(failed({ 'canary\n@everyone': 1 }))],
    ['a mode that git does not have', JSON.stringify(succeeded()).replace('100644', 'canary')],
    ['an empty path', JSON.stringify(succeeded()).replace('a.txt', '')],
    ['a digest with a path in it', JSON.stringify(succeeded()).replace(sha256('hello\n'), '../canary')],
    ['a negative count', JSON.stringify(failed()).replace('"inputTokens":1', '"inputTokens":-7')],
    ['a number beyond all', JSON.stringify(failed()).replace('"inputTokens":1', '"inputTokens":1e999')],
    ['a NUL in the message', JSON.stringify(succeeded()).replace('Say hello', 'canary\\u0000')],
    ['half a surrogate pair in a path', JSON.stringify(succeeded()).replace('a.txt', 'canary\\ud800')],
    ['half a surrogate pair in a key', JSON.stringify(succeeded()).replace('"title"', '"canary\\udc00"')],
    ['a depth of a hundred', JSON.stringify(succeeded()).replace('"Say hello"', deep)],
    ['no bottom', JSON.stringify(succeeded()).replace('"Say hello"', bottomless)],
    [
      '10,001 paths',
      JSON.stringify(
        succeeded('', { changes: Array.from({ length: 10_001 }, () => ({ kind: 'delete', path: 'canary' })) }),
      ),
    ],
  ])('with %s is refused for good, and neither the answer nor the log repeats it', async ([, body], { db }) => {
    const { call, run, lines } = gateway(db)
    const { token, run: of } = await run()
    const answer = await call('POST', '/v1/result', { token, body })
    expect(answer.status).toBe(422)
    expect(Buffer.byteLength(answer.text)).toBeLessThanOrEqual(512)
    expect(answer.text + lines.join('')).not.toMatch(/canary|everyone|-7/)
    expect((await runNow(db, of.id)).state).toBe('running')
  })

  test('of more than 4 MiB is refused', async ({ db }) => {
    const { call, run } = gateway(db)
    const body = ' '.repeat(4 * 1024 * 1024 + 1)
    expect((await call('POST', '/v1/result', { ...(await run()), body })).status).toBe(413)
  })

  test('no answer and no log line of all this shows a token or its key', async ({ db }) => {
    const { call, run, lines } = gateway(db)
    const { token } = await run()
    const answers = []
    for (const [method, path] of open)
      for (const as of [token, `${token}x`, 'canary-run-token-key'])
        answers.push(await call(method, path, { token: as, ...(method === 'GET' ? {} : { body: '{}' }) }))
    const seen = answers.map(({ text, headers }) => text + JSON.stringify([...headers])).join('') + lines.join('')
    expect(seen).not.toContain(token.split('.').at(-1))
    expect(seen).not.toContain('canary-run-token-key')
  })
})

test.for(['run', 'model'] as const)(
  'X12 an agent that hands in its %s token, whatever the encoding, is told so, and nothing of it is stored',
  async (audience, { db }) => {
    const { call, run } = gateway(db)
    const { attempt, token } = await run()
    const secret = tokenOf(attempt, audience)
    const before = await db.selectFrom('blobs').select('digest').execute()
    for (const text of [secret, Buffer.from(`x${secret}`).toString('base64'), Buffer.from(secret).toString('hex')]) {
      const upload = await call('PUT', `/v1/blobs/${sha256(text)}`, { token, body: text })
      expect(upload).toMatchObject({ status: 400, code: 'token_inside' })
      const message = { title: 'Say hello', summary: text, tests: 'None.' }
      const result = await call('POST', '/v1/result', { token, body: succeeded('hello\n', { message }) })
      expect(result).toMatchObject({ status: 400, code: 'token_inside' })
    }
    expect((await call('POST', '/v1/progress', { token, body: progress(1, secret) })).status).toBe(204)
    expect(await db.selectFrom('progress').select('text').execute()).toEqual([
      { text: '(withheld: it looks like a secret)' },
    ])
    expect(await db.selectFrom('blobs').select('digest').execute()).toEqual(before)
    expect(await attempts(db)).toMatchObject([{ state: 'created' }])
  },
)
