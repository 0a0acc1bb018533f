import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Row, RunState } from '#shared/db/schema.ts'
import { transaction } from '#shared/db/transaction.ts'
import { canonicalJson, digestOf, sha256 } from '#shared/digest.ts'
import { EVENT_TYPES, type PlatformType } from '#shared/events/types.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import { emit } from '#shared/outbox/write.ts'
import { runEvent } from '#shared/run/run-event.ts'

let count = Math.floor(Math.random() * 1e6)

/** A number that no other row of this file has. */
export const next = () => (count += 1)

/** A connected repository on no forge, unless told which. */
export async function addProject(
  db: Db,
  more: Partial<Omit<Row<'projects'>, 'settings'>> & { settings?: object } = {},
): Promise<Row<'projects'>> {
  const { settings = {}, ...columns } = more
  return db
    .insertInto('projects')
    .values({
      provider: 'github',
      instance: 'https://api.github.com',
      repository_id: String(next()),
      full_name: 'acme/shop',
      installation_id: null,
      own_actor_id: '1',
      settings: JSON.stringify(settings),
      ...columns,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** What a run is made with beyond its state. */
export interface RunOptions {
  readonly state?: RunState
  readonly manifest?: Partial<Manifest>
  readonly columns?: Partial<Row<'runs'>>
  /** The blobs of its bundle. */
  readonly texts?: { readonly instructions: string; readonly content: string; readonly outputSchema: string }
}

const defaultTexts = {
  instructions: 'Do it.',
  content: canonicalJson({ title: 'A bug', body: '', comments: [] }),
  outputSchema: '{}',
}

/** A run on an issue of its own, with bundle and change. */
export async function addRun(db: Db, project: Row<'projects'>, options: RunOptions = {}): Promise<Row<'runs'>> {
  const { state = 'running', columns = {}, texts = defaultTexts } = options
  const number = columns.subject_number ?? next()
  const subject = columns.subject_id ?? String(number * 10)
  await db
    .insertInto('subjects')
    .values({ project_id: project.id, id: subject, kind: 'issue', number })
    .onConflict((same) => same.doNothing())
    .execute()
  const manifest: Manifest = {
    version: 1,
    repository: {
      provider: 'github',
      instance: project.instance,
      id: project.repository_id,
      fullName: project.full_name,
    },
    subject: { kind: 'issue', number, id: subject },
    base: { ref: 'main', commit: '0'.repeat(40) },
    stage: 'dev',
    instructions: sha256(texts.instructions),
    content: sha256(texts.content),
    outputSchema: sha256(texts.outputSchema),
    model: 'gpt-5.4',
    effort: 'high',
    budget: { tokens: 100_000, outputTokens: 8_000, seconds: 600 },
    writeScope: { kind: 'code', protected: [], maxFiles: 100, maxBytes: 1_000_000 },
    gate: null,
    image: 'agent',
    workflow: sha256('workflow'),
    policy: 1,
    ...options.manifest,
  }
  const digest = digestOf(manifest)
  await db
    .insertInto('blobs')
    .values(Object.values(texts).map((text) => ({ digest: sha256(text), bytes: Buffer.from(text) })))
    .onConflict((same) => same.doNothing())
    .execute()
  await db
    .insertInto('bundles')
    .values({ digest, manifest: JSON.stringify(manifest) })
    .onConflict((same) => same.doNothing())
    .execute()
  const change = await db
    .insertInto('changes')
    .values({
      project_id: project.id,
      subject_id: subject,
      base_ref: 'main',
      base_commit: manifest.base.commit,
      branch: `agent/${number}-${randomUUID().replaceAll('-', '').slice(0, 10)}`,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return db
    .insertInto('runs')
    .values({
      project_id: project.id,
      provider: project.provider,
      instance: project.instance,
      repository_id: project.repository_id,
      subject_id: subject,
      subject_number: number,
      label_event_id: String(next()),
      label: 'run:dev',
      stage: 'dev',
      requester_id: '1001',
      requester_login: 'maria',
      requested_at: new Date(),
      state,
      bundle_digest: digest,
      change_id: change.id,
      ...columns,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** The next attempt of a run, open unless told otherwise. */
export async function addAttempt(db: Db, run: string, more: Partial<Row<'attempts'>> = {}): Promise<Row<'attempts'>> {
  return db
    .insertInto('attempts')
    .values({
      run_id: run,
      attempt: sql<number>`coalesce((select max(attempt) from attempts where run_id = ${run}), 0) + 1`,
      state: 'created',
      deadline_at: sql<Date>`now() + interval '10 minutes'`,
      ...more,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Writes an event of a run as another function would; returns the outbox row's id. */
export async function say(db: Db, type: PlatformType, run: Row<'runs'>, producer = 'test'): Promise<string> {
  return transaction(db, (tx) => emit(tx, producer, runEvent(type, run, { rows: {} })))
}

/** The run as it is now. */
export function runNow(db: Db, id: string): Promise<Row<'runs'>> {
  return db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
}

/** What only says which rows changed. */
const forTheLedger = [
  EVENT_TYPES.runStarting,
  EVENT_TYPES.intentRecorded,
  EVENT_TYPES.intentSettled,
  EVENT_TYPES.progressRecorded,
  EVENT_TYPES.usageReserved,
]

/** Types of the events about a run, in the order in which they were written, without `dev.codex-k8s.`. */
export async function saidOf(db: Db, run: string): Promise<string[]> {
  const rows = await db
    .selectFrom('outbox')
    .select('type')
    .where('subject', '=', `runs/${run}`)
    .where('producer', '!=', 'test')
    .where('type', 'not in', forTheLedger)
    .orderBy('seq')
    .execute()
  return rows.map(({ type }) => type.replace(/^dev\.codex-k8s\.|\.v1$/g, ''))
}

/** So many requests for the stage of one run, written in one transaction; ids of their outbox rows. */
export async function requestStages(db: Db, requests: number): Promise<string[]> {
  const run = await addRun(db, await addProject(db))
  return transaction(db, async (tx) => {
    const ids: string[] = []
    for (let each = 0; each < requests; each += 1)
      ids.push(await emit(tx, 'label-router', runEvent(EVENT_TYPES.stageRequested, run, { rows: {} })))
    return ids
  })
}
