import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import type { Db } from '#shared/db/connect.ts'
import type { Row, RunState } from '#shared/db/schema.ts'
import { digestOf, sha256 } from '#shared/digest.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import { mintToken, type AttemptRef } from '#shared/job/token.ts'

/** Key of the attempts' tokens. */
export const runTokenKey = 'canary-run-token-key-0123456789abcdef'

/** A bundle with room for a few calls. */
export const manifest: Manifest = {
  version: 1,
  repository: { provider: 'github', instance: 'https://api.github.com', id: '1', fullName: 'acme/shop' },
  subject: { kind: 'issue', number: 7, id: '70' },
  base: { ref: 'main', commit: '0'.repeat(40) },
  stage: 'dev',
  instructions: sha256('instructions'),
  content: sha256('content'),
  outputSchema: sha256('schema'),
  model: 'gpt-5.5',
  effort: 'high',
  budget: { tokens: 100_000, outputTokens: 8_000, seconds: 600 },
  writeScope: { kind: 'code', protected: [], maxFiles: 100, maxBytes: 1_000_000 },
  gate: null,
  image: 'agent',
  workflow: sha256('workflow'),
  policy: 1,
}

/** A run with its first attempt, both open. */
export interface TestRun {
  readonly id: string
  readonly ref: AttemptRef
  readonly token: string
}

/** Writes a project, an issue, a bundle and a run that works on it. */
export async function startRun(
  db: Db,
  options: { readonly budget?: Partial<Manifest['budget']>; readonly state?: RunState } = {},
): Promise<TestRun> {
  const number = 1 + Math.floor(Math.random() * 1e9)
  const own: Manifest = { ...manifest, budget: { ...manifest.budget, ...options.budget } }
  const digest = digestOf(own)
  const forge = { provider: 'github' as const, instance: 'https://api.github.com', repository_id: String(number) }
  const project = await db
    .insertInto('projects')
    .values({ ...forge, full_name: 'acme/shop', installation_id: null, own_actor_id: '1', settings: '{}' })
    .returning('id')
    .executeTakeFirstOrThrow()
  await db.insertInto('subjects').values({ project_id: project.id, id: '70', kind: 'issue', number: 7 }).execute()
  await db
    .insertInto('bundles')
    .values({ digest, manifest: JSON.stringify(own) })
    .onConflict((same) => same.doNothing())
    .execute()
  const change = await db
    .insertInto('changes')
    .values({
      project_id: project.id,
      subject_id: '70',
      base_ref: 'main',
      base_commit: '0'.repeat(40),
      branch: 'agent/7-1',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  const { id } = await db
    .insertInto('runs')
    .values({
      ...forge,
      id: randomUUID(),
      project_id: project.id,
      subject_id: '70',
      subject_number: 7,
      label_event_id: '700',
      label: 'run:dev',
      stage: 'dev',
      requester_id: '5',
      requester_login: 'ann',
      requested_at: new Date(),
      state: options.state ?? 'running',
      bundle_digest: digest,
      change_id: change.id,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  const ref = await addAttempt(db, id, 1)
  return { id, ref, token: mintToken(runTokenKey, 'model', ref) }
}

/** Writes another attempt of the run. */
export async function addAttempt(db: Db, run: string, attempt: number): Promise<AttemptRef> {
  const { fence } = await db
    .insertInto('attempts')
    .values({ run_id: run, attempt, state: 'created', deadline_at: sql`now() + interval '10 minutes'` })
    .returning('fence')
    .executeTakeFirstOrThrow()
  return { run, attempt, fence }
}

/** Every call to a model, oldest first. */
export function calls(db: Db): Promise<Row<'model_calls'>[]> {
  return db.selectFrom('model_calls').selectAll().orderBy('created_at').execute()
}

/** Every event about a charge, with its record. */
export function outbox(db: Db): Promise<Pick<Row<'outbox'>, 'id' | 'record'>[]> {
  const type = EVENT_TYPES.usageRecorded
  return db.selectFrom('outbox').select(['id', 'record']).where('type', '=', type).execute()
}
