import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, onTestFinished, test } from 'vitest'
import { addAttempt, runTokenKey, startRun } from '../../functions/model-gateway/testing/run.ts'
import { addHook, addProject, labeled, SECRET } from '../../functions/webhook-gateway/testing/gateway.ts'
import { listen } from '#shared/edge/serve.ts'
import { noRelay, quiet } from '#shared/edge/testing/post.ts'
import { mintToken } from '#shared/job/token.ts'
import type * as JobToken from '#shared/job/token.ts'
import type * as RunGatewayStore from '../../functions/run-gateway/store.ts'
import type * as StageDispatcherHandler from '../../functions/stage-dispatcher/handler.ts'
import type * as StageDispatcherStore from '../../functions/stage-dispatcher/store.ts'
import type * as StageDispatcherProcessLauncher from '../../functions/stage-dispatcher/process-launcher.ts'
import type * as WebhookGatewayApp from '../../functions/webhook-gateway/app.ts'
import { playWith, playWithout, type Guard, type Stage } from '../support/mutation.ts'

const runGateway = 'functions/run-gateway/store.ts'
const token = 'shared/job/token.ts'
const launcher = 'functions/stage-dispatcher/process-launcher.ts'
const dispatcher = 'functions/stage-dispatcher/handler.ts'
const dispatcherStore = 'functions/stage-dispatcher/store.ts'
const gateway = 'functions/webhook-gateway/app.ts'

const guards: readonly Guard[] = [
  {
    guard: 'C11, F20: the fence refuses an older attempt',
    scenario: handInLate,
    file: 'functions/run-gateway/attempt.ts',
    edits: [["if (row.fenced) return 'fenced'", '']],
    fails: /answer to the older attempt/,
  },
  {
    guard: 'J8: a token is ours',
    scenario: forgeToken,
    file: token,
    edits: [['expected.length === given.length && timingSafeEqual(expected, given) ? ref : undefined', 'ref']],
    fails: /token of another key/,
  },
  {
    guard: 'C9: a Job is created once under its name',
    scenario: createTwice,
    file: launcher,
    edits: [
      ['const existing = await view(folder(job.name))', "const existing = await view('')"],
      [
        'await rename(fresh, folder(job.name))',
        'await rm(folder(job.name), { recursive: true, force: true }); await rename(fresh, folder(job.name))',
      ],
    ],
    fails: /second creation/,
  },
  {
    guard: 'C10: a Job that was seen once is not created again',
    scenario: createSeen,
    file: dispatcher,
    edits: [
      ['if (intent.attempt.last_seen_at !== null && (await deps.launcher.get(intent.job)) === undefined) return', ''],
    ],
    fails: /Jobs created again/,
  },
  {
    guard: 'C10: a run whose result came in meanwhile is not lost',
    scenario: loseLate,
    file: dispatcherStore,
    edits: [['if ((await lockRun(tx, seen.id)).version !== seen.version) return false if (!again)', 'if (!again)']],
    fails: /state of a run with its result/,
  },
  {
    guard: 'W1: a delivery is signed',
    scenario: deliverUnsigned,
    file: 'functions/webhook-gateway/signature.ts',
    edits: [["if (matches(bytes, claimed, keys.current)) return 'current'", "return 'current'"]],
    fails: /answer to a forged signature/,
  },
  {
    guard: 'W4: a hook speaks for its own repository',
    scenario: deliverForeign,
    file: 'functions/webhook-gateway/decide.ts',
    edits: [["if (project.repositoryId !== delivery.repositoryId) return quarantine('repository_mismatch')", '']],
    fails: /delivery of another repository/,
  },
]

test.for(guards)('$guard: holds, and its loss is noticed', async (guard) => {
  await playWith(guard)
  await expect(playWithout(guard)).rejects.toThrow(guard.fails)
})

async function handInLate({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof RunGatewayStore>(runGateway)
  const { id, ref } = await startRun(db)
  await db
    .updateTable('attempts')
    .set({ state: 'lost', finished_at: sql`now()` })
    .execute()
  await addAttempt(db, id, 2)
  const usage = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 }
  const outcome = await store(db, noRelay).saveResult(ref, {
    outcome: 'failed',
    reason: 'agent_failed',
    detail: '',
    log: null,
    usage,
  })
  expect(outcome, 'answer to the older attempt').toBe('fenced')
}

async function forgeToken({ load }: Stage): Promise<void> {
  const { verifyToken } = await load<typeof JobToken>(token)
  const ref = { run: '0'.repeat(36), attempt: 1, fence: 1 }
  expect(verifyToken(runTokenKey, 'run', mintToken(runTokenKey, 'run', ref))).toEqual(ref)
  expect(
    verifyToken(runTokenKey, 'run', mintToken('a key of somebody else', 'run', ref)),
    'token of another key',
  ).toBeUndefined()
}

async function createTwice({ load }: Stage): Promise<void> {
  const { processLauncher } = await load<typeof StageDispatcherProcessLauncher>(launcher)
  const directory = temporary()
  const supervisor = join(directory, 'nobody.mjs')
  writeFileSync(supervisor, '')
  const jobs = processLauncher({ directory, supervisor, command: ['true'], env: {} })
  const job = {
    name: 'run-a',
    namespace: null,
    run: 'a',
    attempt: 1,
    image: 'agent',
    seconds: 60,
    silentSeconds: 60,
    tokens: { run: 'r', model: 'm' },
  }
  const first = await jobs.create(job)
  expect(first).toMatchObject({ kind: 'created', run: 'a' })
  expect(await jobs.create(job), 'second creation').toEqual({ ...first, kind: 'exists' })
}

async function createSeen({ db, load }: Stage): Promise<void> {
  const { stageDispatcher } = await load<typeof StageDispatcherHandler>(dispatcher)
  const { id } = await startRun(db, { state: 'starting' })
  const attempt = await db
    .updateTable('attempts')
    .set({ last_seen_at: sql`now()` })
    .returningAll()
    .executeTakeFirstOrThrow()
  const run = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  let created = 0
  const launched = {
    get: async () => undefined,
    create: async () => ((created += 1), { kind: 'created', uid: 'u', run: id }),
    stop: async () => {},
  }
  const job = { name: 'run-a', run: id, attempt: 1, image: '', seconds: 1, tokens: { run: '', model: '' } }
  const deps = { launcher: launched, intend: async () => ({ intended: [{ run, attempt, job }], written: [] }) }
  const handle = stageDispatcher(deps as unknown as Parameters<typeof stageDispatcher>[0])
  const data = { run: id, project: run.project_id, stage: 'dev' }
  await handle({ type: 'dev.codex-k8s.stage.approved.v1', data } as unknown as Parameters<typeof handle>[0])
  expect(created, 'Jobs created again').toBe(0)
}

async function loseLate({ db, load }: Stage): Promise<void> {
  const { store } = await load<typeof StageDispatcherStore>(dispatcherStore)
  const { id } = await startRun(db)
  const seen = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  await db
    .updateTable('runs')
    .set({ state: 'publishing', version: sql`version + 1` })
    .execute()
  const dispatch = store(db, { tokenKey: runTokenKey, namespaces: [] })
  await dispatch.write(async (writer) => void (await dispatch.lose(writer, seen, true, 'gone')))
  const { state } = await db.selectFrom('runs').select('state').where('id', '=', id).executeTakeFirstOrThrow()
  expect(state, 'state of a run with its result').toBe('publishing')
}

async function deliverUnsigned(stage: Stage): Promise<void> {
  const hook = await addHook(stage.db, await addProject(stage.db, 42))
  const { status } = await request(stage, hook, labeled(42), 'a secret of somebody else')
  expect(status, 'answer to a forged signature').toBe(401)
}

async function deliverForeign(stage: Stage): Promise<void> {
  const hook = await addHook(stage.db, await addProject(stage.db, 42))
  const response = await request(stage, hook, labeled(43), SECRET)
  expect(await response.json(), 'delivery of another repository').toMatchObject({
    state: 'quarantined',
    reason: 'repository_mismatch',
  })
}

async function request({ db, load }: Stage, hook: string, content: object, secret: string): Promise<Response> {
  const { create } = await load<typeof WebhookGatewayApp>(gateway)
  const secretsDir = temporary()
  writeFileSync(join(secretsDir, 'main'), SECRET)
  const body = JSON.stringify(content)
  const headers = {
    'content-type': 'application/json',
    'x-github-event': 'issues',
    'x-github-delivery': '1',
    'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  }
  const app = create({ secretsDir }, { db, relay: noRelay, log: quiet })
  // The database is the test's own and closed by it.
  const { url, close } = await listen({ ...app, close: async () => {} }, { port: 0, host: '127.0.0.1' })
  onTestFinished(close)
  return fetch(`${url}/hooks/github/${hook}`, { method: 'POST', headers, body })
}

function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mutant-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
