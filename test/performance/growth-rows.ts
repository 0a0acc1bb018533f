import { connect } from '#shared/db/connect.ts'
import { addProject, addRun } from '#shared/run/testing/rows.ts'
import { withClient } from './ledger-rows.ts'

/** How large an installation has become. */
export interface Size {
  readonly projects: number
  /** Events that are over: in outbox, deliveries, ledger, every third in the inbox; every tenth is a run of its own. */
  readonly settled: number
}

// Each statement writes what a day of a busy installation leaves behind; $1 is the number of settled events.
const history: readonly string[] = [
  `insert into subjects select p.id, n::text, 'issue', n from generate_series(1, $1::int / 10) n join numbered p on p.place = n % $2::int`,
  `insert into bundles (digest, manifest) select encode(sha256(('bundle' || n)::bytea), 'hex'), (select manifest from bundles limit 1)
   from generate_series(1, $1::int / 10) n`,
  `insert into blobs (digest, bytes) select encode(sha256(('blob' || n)::bytea), 'hex'), convert_to(repeat('x', 2000), 'UTF8')
   from generate_series(1, $1::int / 5) n`,
  `insert into changes (id, project_id, subject_id, base_ref, base_commit, branch, head_commit, pull_number, version)
   select uuid_of('change', n), p.id, n::text, 'main', repeat('0', 40), 'agent/' || n || '-x', repeat('1', 40), 1000000 + n, 2
   from generate_series(1, $1::int / 10) n join numbered p on p.place = n % $2::int`,
  `insert into runs (id, project_id, provider, instance, repository_id, subject_id, subject_number, label_event_id, label, stage,
     requester_id, requester_login, requested_at, state, reason, version, bundle_digest, change_id, created_at, updated_at)
   select uuid_of('run', n), p.id, p.provider, p.instance, p.repository_id, n::text, n, 'past-' || n, 'run:dev', 'dev',
     '1001', 'maria', at, case when n % 10 = 0 then 'failed' else 'succeeded' end, case when n % 10 = 0 then 'agent_failed' end, 5,
     encode(sha256(('bundle' || n)::bytea), 'hex'), uuid_of('change', n), at, at
   from (select n, now() - n * interval '1 minute' as at from generate_series(1, $1::int / 10) n) runs join numbered p on p.place = n % $2::int`,
  `insert into attempts (run_id, attempt, state, result_digest, deadline_at, last_seen_at, created_at, finished_at)
   select id, 1, 'finished', encode(sha256(('blob' || subject_number)::bytea), 'hex'), created_at, created_at, created_at, created_at
   from runs where label_event_id like 'past-%'`,
  `insert into uploads (run_id, attempt, digest) select uuid_of('run', n / 2), 1, encode(sha256(('blob' || n)::bytea), 'hex')
   from generate_series(2, $1::int / 5) n`,
  `insert into links (from_kind, from_id, relation, to_kind, to_id) select 'issue', subject_id, 'asked for', 'run', id from runs where label_event_id like 'past-%'`,
  `insert into intents (kind, name, run_id, attempt, state, external_id, settled_at)
   select 'job', 'run-' || md5(id::text), id, 1, 'gone', 'x', created_at from runs where label_event_id like 'past-%'`,
  `insert into intents (kind, name, run_id, state, external_id, settled_at)
   select kind, kind || id, id, 'done', 'x', created_at from runs, unnest(array['comment', 'pull_request']) kind where label_event_id like 'past-%'`,
  `insert into comments (run_id, comment_id, shown, edited_at, wanted, done)
   select id, subject_id, repeat('0', 64), created_at, 4, 4 from runs where label_event_id like 'past-%'`,
  `insert into progress (run_id, attempt, sequence, kind, text) select id, 1, n, 'command', 'npm test' from runs, generate_series(1, 5) n where label_event_id like 'past-%'`,
  `insert into model_calls (run_id, attempt, state, reserved_tokens, charged_tokens, input_tokens, output_tokens, expires_at)
   select id, 1, 'settled', 1000, 900, 800, 100, created_at from runs, generate_series(1, 5) where label_event_id like 'past-%'`,
  `insert into inbox (id, hook_id, delivery_id, event_name, body, body_digest, project_id, state, received_at)
   select uuid_of('inbox', n), h.id, 'past-' || n, 'issues', convert_to('{"filler":"' || repeat('x', 2000) || '"}', 'UTF8'), repeat('0', 64), h.project_id, 'accepted', now() - n * interval '6 seconds'
   from generate_series(1, $1::int / 3) n join (select id, project_id, row_number() over (order by id) - 1 as place from hooks where project_id is not null) h
     on h.place = n % (select count(*) from hooks where project_id is not null)`,
  `insert into outbox (id, source, event_id, type, subject, producer, event, record, inbox_id, created_at, due_at, attempts, sent_at)
   select uuid_of('outbox', n), 'past', 'past-' || n, 'dev.codex-k8s.run.started.v1', 'runs/' || uuid_of('run', 1 + n / 10), 'stage-dispatcher',
     '{"data": {}, "extensions": {}}', jsonb_build_object('filler', repeat('x', 800)), case when n <= $1::int / 3 then uuid_of('inbox', n) end, at, at, 1, at
   from (select n, now() - n * interval '2 seconds' as at from generate_series(1, $1::int) n) past order by n desc`,
  `insert into deliveries (outbox_id, consumer, state, due_at, attempts, outcome, settled_at)
   select uuid_of('outbox', n), consumer, 'done', now(), 1, 'done', now() from generate_series(1, $1::int) n, unnest(array['audit-sink', 'status-reporter']) consumer`,
  `insert into ledger (seq, outbox_id, previous, hash, entry)
   select n, uuid_of('outbox', n), repeat('0', 64), encode(sha256(('entry' || n)::bytea), 'hex'), repeat('x', 1000) from generate_series(1, $1::int) n`,
]

/** Makes a database as large as that, and tells the planner. Hooks are one per project. */
export async function grow(url: string, { projects, settled }: Size): Promise<void> {
  const db = connect(url, { name: 'bench' })
  const had = await db.selectFrom('projects').select('id').execute()
  for (let n = had.length; n < projects; n += 1) {
    const project = await addProject(db)
    if (n === had.length) await addRun(db, project, { state: 'succeeded' })
    const values = { id: `hook${String(n).padStart(8, '0')}`, provider: 'github' as const, instance: project.instance }
    await db
      .insertInto('hooks')
      .values({ ...values, project_id: project.id, secret_name: 'none' })
      .execute()
  }
  await db.destroy()
  await withClient(url, async (client) => {
    await client.query(
      `create temporary view numbered as select *, row_number() over (order by created_at, id) - 1 as place from projects`,
    )
    await client.query(
      `create function pg_temp.uuid_of(kind text, n bigint) returns uuid language sql immutable as 'select md5(kind || n)::uuid'`,
    )
    if (settled > 0) {
      for (const statement of history) {
        const text = statement.replaceAll('uuid_of(', 'pg_temp.uuid_of(')
        const values = text.includes('$2') ? [settled, projects] : text.includes('$1') ? [settled] : []
        await client.query(text, values)
      }
    }
    await client.query('vacuum analyze')
  })
}
