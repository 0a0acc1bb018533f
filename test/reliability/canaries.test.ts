import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { describe, expect, onTestFinished, test as plain } from 'vitest'
import { FUNCTIONS } from '../../deploy/local/functions.ts'
import type { Db } from '#shared/db/connect.ts'
import { keptLog } from '#shared/edge/testing/post.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { mintToken } from '#shared/job/token.ts'
import { say } from '#shared/run/testing/rows.ts'
import { encodings } from '#shared/secret-scan/testing/encodings.ts'
import {
  databasePlaces,
  forgePlaces,
  jobPlaces,
  leaks,
  piecesOf,
  type Canaries,
  type Place,
} from '../support/canaries.ts'
import { startCollector } from '../support/collector.ts'
import { test } from '../support/database.ts'
import { expectNothingLost } from '../support/invariants.ts'
import { spawnNode, type NodeProcess } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'
import { startWorld, type World } from '../support/world.ts'

const canary = (slot: string) => `${slot}-${randomBytes(18).toString('base64url').replaceAll(/[-_]/g, '0')}`

/** A model that repeats the caller's credentials in every way in which it refuses, and then answers. */
async function startEchoingModel(): Promise<{ readonly url: string; asked(): number }> {
  let asked = 0
  const server = createServer((request, response) => {
    const key = request.headers.authorization ?? ''
    const status = [401, 403, 500, 400, 429, 404][asked++]
    request.resume().on('end', () => {
      if (status !== undefined) {
        response.writeHead(status, { 'content-type': 'application/json', 'x-echo': key })
        const said = key.replace('Bearer ', '')
        response.end(JSON.stringify({ error: { message: key, code: said, type: `t_${said}`, param: said } }))
        return
      }
      response.writeHead(200, { 'content-type': 'text/event-stream', 'x-echo': key })
      const usage = { input_tokens: 100, output_tokens: 5 }
      const last = { type: 'response.completed', response: { id: 'r1', usage } }
      response.end(`event: ${last.type}\ndata: ${JSON.stringify(last)}\n\n`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, asked: () => asked }
}

/** A world with a canary in every slot, and everything that was seen of it. */
async function startGuardedWorld(db: Db, databaseUrl: string) {
  const slots = {
    'token key': canary('tokenkey'),
    'model key': canary('modelkey'),
    'previous webhook secret': canary('previous'),
    'database password': new URL(databaseUrl).password,
  }
  const model = await startEchoingModel()
  const collector = await startCollector()
  const world = await startWorld({
    db,
    databaseUrl,
    modelUrl: model.url,
    modelKey: slots['model key'],
    tokenKey: slots['token key'],
    agent: 'hostile-agent.ts',
    collectorUrl: collector.url,
    logLevel: 'debug',
  })
  writeFileSync(join(world.secretsDir, 'previous'), slots['previous webhook secret'])
  await db
    .updateTable('hooks')
    .set({ previous_secret_name: 'previous', previous_until: sql<Date>`now() + interval '1 hour'` })
    .execute()

  const processes: NodeProcess[] = [world.functions()]
  const answers: string[] = []
  return {
    world,
    model,
    collector,
    slots,
    answers,
    /** A request whose whole answer is kept. */
    async ask(url: string, init: RequestInit = {}): Promise<number> {
      const response = await fetch(url, init)
      answers.push(JSON.stringify([url, response.status, [...response.headers], await response.text()]))
      return response.status
    },
    async restart(signal: NodeJS.Signals) {
      await world.functions().kill(signal)
      await world.restart()
      processes.push(world.functions())
    },
    log: () => processes.flatMap(({ lines }) => lines).join('\n'),
  }
}
type GuardedWorld = Awaited<ReturnType<typeof startGuardedWorld>>

/** All secrets of the platform, those included that it made on the way. */
async function platformSecrets({ world, slots }: GuardedWorld): Promise<Canaries> {
  const json = async <T>(path: string) => (await (await fetch(`${world.forgeUrl}${path}`)).json()) as T
  const [app] = await json<{ privateKey: string }[]>('/_forge/apps')
  const tokens = await json<string[]>('/_forge/tokens')
  expect(tokens.length).toBeGreaterThan(0)
  return {
    ...slots,
    'webhook secret': world.hookSecret,
    ...piecesOf(app?.privateKey ?? ''),
    ...Object.fromEntries(tokens.map((token, index) => [`installation token ${index + 1}`, token])),
  }
}

/** The tokens of every attempt there was. */
async function attemptTokens(db: Db, { slots }: GuardedWorld): Promise<Canaries> {
  const attempts = await db.selectFrom('attempts').select(['run_id as run', 'attempt', 'fence']).execute()
  expect(attempts.length).toBeGreaterThan(0)
  return Object.fromEntries(
    attempts.flatMap((ref) =>
      (['run', 'model'] as const).map((audience) => [
        `${audience} token of attempt ${ref.attempt}`,
        // What everybody may know of it, run and numbers, is no secret.
        mintToken(slots['token key'], audience, ref).split('.').at(-1) ?? '',
      ]),
    ),
  )
}

/** Everything anybody could read without being the agent or the operator. */
async function publicPlaces(db: Db, { world, collector, answers, log }: GuardedWorld): Promise<Place[]> {
  const metrics = await (await fetch(`${world.url('reconciler')}/metrics`)).text()
  return [
    { name: 'log', text: log() },
    { name: 'answers', text: answers.join('\n') },
    { name: 'metrics', text: metrics },
    { name: 'spans', text: collector.text() },
    { name: 'ledger of the broker', text: JSON.stringify(world.broker.ledger.entries) },
    ...(await databasePlaces(db)),
    ...(await forgePlaces(world)),
  ]
}

/** The forge refuses the next requests of a kind and repeats their credentials. */
async function echoes(world: World, method: string, path: string, status: number, times = 1): Promise<void> {
  // oxlint-disable-next-line unicorn/no-thenable -- the forge's word for what happens then
  const fault = { method, path, times, then: { status, echo: true } }
  expect((await fetch(`${world.forgeUrl}/_forge/faults`, { method: 'POST', body: JSON.stringify(fault) })).status).toBe(
    201,
  )
}

function webhook(world: World, body: string, delivery: string, signature: string | undefined): [string, RequestInit] {
  const headers = {
    'content-type': 'application/json',
    'x-github-event': 'issues',
    'x-github-delivery': delivery,
    ...(signature !== undefined && { 'x-hub-signature-256': signature }),
  }
  return [world.hookUrl, { method: 'POST', headers, body }]
}

const signed = (secret: string, body: string) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`

/** Requests that are refused at every door, some of them with secrets in the wrong place. */
async function knockEverywhere({ world, slots, ask }: GuardedWorld): Promise<void> {
  const body = JSON.stringify({ action: 'labeled', repository: { id: 1 } })
  const { hookSecret } = world
  for (const signature of [undefined, 'sha256=00', `sha256=${hookSecret}`, hookSecret, signed(`${hookSecret}x`, body)])
    expect(await ask(...webhook(world, body, `bad-${signature?.length ?? 0}`, signature))).toBeGreaterThanOrEqual(400)
  expect(await ask(...webhook(world, body, 'previous', signed(slots['previous webhook secret'], body)))).toBe(202)
  expect(await ask(...webhook(world, body, 'poison', signed(hookSecret, body)))).toBe(503)
  const forged = { 'ce-specversion': '1.0', 'ce-id': 'x', 'ce-source': '/x', 'ce-type': EVENT_TYPES.runFinished }
  for (const name of FUNCTIONS) {
    await ask(`${world.url(name)}/`, { method: 'POST', headers: forged })
    await ask(`${world.url(name)}/nothing-here`)
    await ask(`${world.url(name)}/sweep?grace=x`, { method: 'POST' })
    for (const bearer of ['x', slots['token key'], slots['model key']]) {
      const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
      await ask(`${world.url(name)}/v1/input`, { headers })
      await ask(`${world.url(name)}/v1/result`, { method: 'POST', headers, body: '{' })
      await ask(`${world.url(name)}/v1/responses`, { method: 'POST', headers, body: '{' })
    }
  }
}

/** An event that its consumer cannot handle, through the broker to the dead letters. */
async function poisonEvent(db: Db): Promise<void> {
  const run = await db.selectFrom('runs').selectAll().executeTakeFirstOrThrow()
  const id = await say(db, EVENT_TYPES.stageDue, run)
  await db
    .updateTable('outbox')
    .set({ event: sql`jsonb_set(event, '{data,run}', '"no uuid"')`, due_at: sql`now() - interval '1 ms'` })
    .where('id', '=', id)
    .execute()
}

describe('X12', { timeout: 180_000 }, () => {
  test('no secret gets out of the chain: success, every failure on the way, and an agent that gives away all it has', async ({
    db,
    databaseUrl,
  }) => {
    const guarded = await startGuardedWorld(db, databaseUrl)
    const { world, model } = guarded
    await world.drain()

    // Statements that fail with what is bound to them.
    await sql`alter table inbox add constraint poison check (delivery_id <> 'poison')`.execute(db)
    await sql`alter table progress add constraint poison check (sequence <> 3)`.execute(db)
    await knockEverywhere(guarded)

    for (const [method, path, status] of [
      ['GET', '/collaborators/', 403],
      ['GET', '/issues/\\d+/events', 401],
      ['POST', '/access_tokens', 403],
      ['GET', '/git-upload-pack', 500],
      ['POST', '/git/trees', 500],
      ['POST', '/git/commits', 502],
      ['POST', '/pulls$', 403],
      ['POST', '/issues/\\d+/comments', 403],
      ['PATCH', '/issues/comments/', 401],
    ] as const)
      await echoes(world, method, path, status)

    // No place for Jobs.
    writeFileSync(world.jobs, '')
    await world.label(await world.issue())
    const hurry = setInterval(() => {
      // What was told to wait a minute is due at once, and a broker that gave up is no end.
      const due = sql<Date>`now()`
      void db
        .updateTable('deliveries')
        .set({ due_at: due })
        .where('state', '=', 'pending')
        .execute()
        .catch(() => {})
    }, 300)
    onTestFinished(() => clearInterval(hurry))
    await eventually(
      async () => {
        await world.sweep()

        return /mkdir .*jobs/.test(guarded.log())
      },
      { what: 'the launcher to refuse', timeoutMs: 15_000, everyMs: 200 },
    )
    rmSync(world.jobs)
    mkdirSync(world.jobs, { mode: 0o711 })
    await eventually(
      async () => {
        await world.sweep()
        return db.selectFrom('attempts').select('run_id').where('last_seen_at', 'is not', null).executeTakeFirst()
      },
      { what: 'the agent to speak', timeoutMs: 60_000, everyMs: 200 },
    )
    await guarded.restart('SIGKILL')
    await world.expireLeases()
    await eventually(
      async () => {
        await world.sweep()
        const [run] = await db.selectFrom('runs').select(['state', 'reason']).execute()
        if (!['succeeded', 'failed'].includes(run?.state ?? '')) {
          throw new Error(JSON.stringify(run))
        }
        return true
      },
      { what: 'the run to end', timeoutMs: 60_000, everyMs: 200 },
    )
    await poisonEvent(db)
    await world.expireLeases()
    await eventually(() => world.drain().then(() => true), { what: 'rest', timeoutMs: 60_000 })
    clearInterval(hurry)

    expect(await db.selectFrom('runs').select(['state', 'reason']).execute()).toEqual([
      { state: 'succeeded', reason: null },
    ])
    expect(model.asked()).toBeGreaterThan(6)
    expect(guarded.collector.spans.filter(({ status }) => status === 2).length).toBeGreaterThan(3)
    const quarantined = await db
      .selectFrom('deliveries')
      .select('consumer')
      .where('state', '=', 'quarantined')
      .execute()
    expect(quarantined).toContainEqual({ consumer: 'label-router' })
    // Each of the paths was really taken.
    const log = guarded.log()
    for (const line of ['not authentic', 'signed with the previous secret', 'not stored', 'failed, to be repeated'])
      expect(log).toContain(line)
    const faults = await world.forgeLedger('fault')
    expect(new Set(faults.map(({ path }) => String(path))).size).toBeGreaterThanOrEqual(7)
    // Set by hand above, so no event tells of it.
    await db.updateTable('hooks').set({ previous_secret_name: null, previous_until: null }).execute()
    await expectNothingLost(db)

    const platform = await platformSecrets(guarded)
    const own = await attemptTokens(db, guarded)
    const places = await publicPlaces(db, guarded)
    const jobs = jobPlaces(world.jobs)
    expect(jobs.length).toBeGreaterThan(3)
    expect(leaks([...places, ...jobs], platform)).toEqual([])
    // The agent's tokens are in the file that brings them and in what the agent itself prints, which stays with its Job.
    const others = jobs.filter(({ name }) => !/(\/output\.log|\/secret\/token)$/.test(name))
    expect(leaks([...places, ...others], own)).toEqual([])
  })

  test('the search finds a secret in every place, in every encoding', async ({ db, databaseUrl }) => {
    const guarded = await startGuardedWorld(db, databaseUrl)
    const { world, answers } = guarded
    // Between many others its quoted lines are taken for theirs.
    const { 'gzip and base64 in quoted lines': _, ...separable } = encodings
    const written = Object.entries(separable).map(([name, encode]) => {
      const secret = canary('planted')
      return { name, secret, text: encode(secret) }
    })
    const planted = Object.fromEntries(written.map(({ name, secret }) => [name, secret]))
    expect(Object.keys(planted).length).toBeGreaterThan(8)
    const texts = written.flatMap(({ text }) => (typeof text === 'string' ? [text] : []))
    const inText = Object.fromEntries(
      written.flatMap(({ name, secret, text }) => (typeof text === 'string' ? [[name, secret] as const] : [])),
    )

    const issue = await world.issue()
    for (const text of texts) {
      await world.person('POST', `/repos/maria/shop/issues/${issue}/comments`, { body: text })
      await sql`insert into links values ('a', 'b', 'c', 'd', ${text})`.execute(db)
      await sql`insert into outbox (source, event_id, type, subject, producer, event, record)
        values ('x', gen_random_uuid(), 'x', '', 'x', '{}', ${JSON.stringify({ deep: [{ text }] })})`.execute(db)
      answers.push(JSON.stringify(['url', 200, [], JSON.stringify({ detail: text })]))
    }
    mkdirSync(world.jobs, { recursive: true })
    for (const [index, { text }] of written.entries()) {
      const bytes = Buffer.from(text)
      await db
        .insertInto('blobs')
        .values({ digest: String(index).padStart(64, '0'), bytes })
        .execute()
    }
    writeFileSync(
      join(world.jobs, 'output.log'),
      Buffer.concat(written.map(({ text }) => Buffer.from(`\n${String(text)}`))),
    )
    const { log, lines } = keptLog()
    for (const text of texts) log.warn({ err: new Error(text), text }, 'planted')

    const places = [
      ...(await publicPlaces(db, guarded)),
      ...jobPlaces(world.jobs),
      { name: 'log', text: lines.join('\n') },
    ]
    const found = new Set(leaks(places, planted))
    for (const place of ['comments', 'table links', 'table outbox', 'answers', 'Job file output.log', 'log'])
      expect(Object.keys(inText).filter((name) => !found.has(`${name} in ${place}`))).toEqual([])
    expect(Object.keys(planted).filter((name) => !found.has(`${name} in bytes of blobs`))).toEqual([])
  })

  const main = (name: string) => fileURLToPath(new URL(`../../functions/${name}/main.ts`, import.meta.url))
  const secretEnvironment = () => ({
    DATABASE_URL: `postgres://codex:${canary('database')}@127.0.0.1:9/codex`,
    RUN_TOKEN_KEY: canary('tokenkey'),
    MODEL_KEY: canary('modelkey'),
  })

  plain.for(FUNCTIONS)('an environment that is not valid is told without what stands in it: %s', async (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'canary-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const secrets = { ...secretEnvironment(), 'forge token': canary('forge token') }
    writeFileSync(join(folder, 'token'), secrets['forge token'])
    const good = { BROKER_URL: 'http://127.0.0.1:9', SECRETS_DIR: folder, FORGE_AUTH_DIR: folder, PORT: '0' }
    const bad: Record<string, string>[] = [
      { PORT: secrets.RUN_TOKEN_KEY },
      { DATABASE_URL: secrets.MODEL_KEY, RUN_TOKEN_KEY: 'short', MODEL_KEY: `${secrets.MODEL_KEY}\u00e9` },
    ]
    for (const wrong of bad) {
      const child = spawnNode(main(name), { env: { ...good, ...secrets, ...wrong } })
      expect(await child.exited).toMatchObject({ code: 78 })
      expect(child.lines.length).toBeGreaterThan(0)
      expect(leaks([{ name: 'output', text: child.lines.join('\n') }], secrets)).toEqual([])
    }
  })

  plain.for(['rejection', 'exception'])(
    'an unhandled %s ends the process with its words and nothing else',
    async (how) => {
      // Beside the sources, whose short names for imports it uses.
      const local = join(import.meta.dirname, '..', '..', '.local')
      mkdirSync(local, { recursive: true })
      const folder = mkdtempSync(join(local, 'canary-'))
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
      const secrets = secretEnvironment()
      const script = join(folder, 'script.ts')
      const error = `Object.assign(new Error('thrown'), { request: { headers: process.env }, cause: Object.assign(new Error('inner'), { parameters: [process.env] }) })`
      writeFileSync(
        script,
        `import { serve } from '#shared/edge/serve.ts'
      import { createLog } from '#shared/log.ts'
      const fail = () => { ${how === 'rejection' ? `void Promise.reject(${error})` : `throw ${error}`} }
      const app = { fetch: () => { setTimeout(fail); return new Response('x') }, close: async () => {} }
      await serve(app, { port: 0, log: createLog('test', 'info') })`,
      )
      const child = spawnNode(script, { env: secrets })
      const [, url = ''] = await child.waitForLine(/"url":"([^"]+)"/)
      await fetch(url).catch(() => {})
      expect(await child.exited).toMatchObject({ code: 70 })
      const text = child.lines.join('\n')
      expect(text).toContain('"message":"thrown"')
      expect(text).toContain('"message":"inner"')
      expect(leaks([{ name: 'output', text }], secrets)).toEqual([])
    },
  )
})
