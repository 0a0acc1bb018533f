import { sql } from 'kysely'
import { verify, type LedgerRow } from '#shared/ledger/verify.ts'
import type { Db } from '#shared/db/connect.ts'
import type { Expected } from './model.ts'
import type { SenderLedger } from './sender.ts'
import type { System } from './system.ts'

/** Something that is wrong: what, and the ids of where. */
export interface Finding {
  readonly kind: 'lost' | 'doubled' | 'wrong'
  readonly what: string
}

/** Compares what happened, by the ledgers of the forge, the launcher, the broker and the sender, with what we say and with what should have. */
export async function judge(
  { db, forge, accepted, jobs }: System,
  sender: SenderLedger,
  expected: readonly Expected[],
): Promise<readonly Finding[]> {
  return [
    ...(await acknowledged(db, sender)),
    ...(await settled(db)),
    ...(await sentIsAccepted(db, accepted())),
    ...(await ledgerIsWhole(db)),
    ...(await pullsAreAsked(forge, db, expected)),
    ...(await commentsAreOne(forge, db, expected)),
    ...(await jobsAreOne(db, jobs())),
    ...(await limitsAreKept(forge)),
    ...(await revisionsAreCommits(forge, db, expected)),
  ]
}

const lost = (what: string): Finding => ({ kind: 'lost', what })
const doubled = (what: string): Finding => ({ kind: 'doubled', what })
const wrong = (what: string): Finding => ({ kind: 'wrong', what })

/** What was answered with a 2xx is in the inbox, once. */
async function acknowledged(db: Db, { acknowledged: answered, strange }: SenderLedger): Promise<Finding[]> {
  const rows = await db.selectFrom('inbox').select(['hook_id', 'delivery_id']).execute()
  const times = countBy(rows.map(({ hook_id, delivery_id }) => `${hook_id} ${delivery_id}`))
  return [
    ...[...answered].filter((key) => !times.has(key)).map((key) => lost(`delivery ${key}: acknowledged, not stored`)),
    ...[...times].flatMap(([key, count]) => (count > 1 ? doubled(`delivery ${key}: stored ${count} times`) : [])),
    ...[...strange].map(([status, count]) => wrong(`${count} deliveries were answered ${status}`)),
  ]
}

/** Everything that was accepted is done: nothing here deserves quarantine. */
async function settled(db: Db): Promise<Finding[]> {
  const { lost: gone } = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
  const rows = await db
    .selectFrom('deliveries')
    .innerJoin('outbox', 'outbox.id', 'deliveries.outbox_id')
    .select(['outbox.event_id', 'outbox.type', 'consumer', 'state', 'outcome'])
    .where('state', '!=', 'done')
    .execute()
  const refused = await db
    .selectFrom('inbox')
    .select(['delivery_id', 'reason'])
    .where('state', '=', 'quarantined')
    .execute()
  const active = await db
    .selectFrom('runs')
    .select(['id', 'state'])
    .where('state', 'not in', ['refused', 'succeeded', 'failed', 'cancelled'])
    .execute()
  return [
    ...(gone > 0 ? [lost(`${gone} inbox rows have no event`)] : []),
    ...rows.map(({ event_id, type, consumer, state, outcome }) =>
      (state === 'pending' ? lost : wrong)(`${type} ${event_id} at ${consumer}: ${state} ${outcome ?? ''}`),
    ),
    ...refused.map(({ delivery_id, reason }) => wrong(`delivery ${delivery_id}: quarantined, ${reason}`)),
    ...active.map(({ id, state }) => lost(`run ${id} is still ${state}`)),
  ]
}

/** What the outbox holds to be sent, the broker has accepted. */
async function sentIsAccepted(db: Db, accepted: ReadonlySet<string>): Promise<Finding[]> {
  const rows = await db.selectFrom('outbox').select(['event_id', 'type', 'sent_at']).execute()
  return rows.flatMap(({ event_id, type, sent_at }) => {
    if (sent_at === null) return lost(`${type} ${event_id}: never sent`)
    return accepted.has(event_id) ? [] : lost(`${type} ${event_id}: marked as sent, the broker never accepted it`)
  })
}

/** The ledger is one chain, and every event is in it. */
async function ledgerIsWhole(db: Db): Promise<Finding[]> {
  const missing = await db
    .selectFrom('outbox')
    .leftJoin('ledger', 'ledger.outbox_id', 'outbox.id')
    .select(['outbox.id', 'outbox.type'])
    .where('ledger.seq', 'is', null)
    .execute()
  const verdict = await verify(rowsOf(db))
  return [
    ...missing.map(({ id, type }) => lost(`${type} ${id}: not in the ledger`)),
    ...(verdict.ok ? [] : [wrong(`ledger row ${verdict.seq} ${verdict.problem}`)]),
  ]
}

async function* rowsOf(db: Db): AsyncGenerator<LedgerRow> {
  for (let after = 0; ;) {
    const { rows } = await sql<LedgerRow>`
      select seq, outbox_id, previous, hash, entry from ledger where seq > ${after} order by seq limit 1000`.execute(db)
    yield* rows
    const last = rows.at(-1)
    if (last === undefined) return
    after = last.seq
  }
}

/** Pull requests at the forge against the reference model; one branch has one. */
async function pullsAreAsked(forge: System['forge'], db: Db, expected: readonly Expected[]): Promise<Finding[]> {
  const runs = await db
    .selectFrom('runs')
    .innerJoin('projects', 'projects.id', 'runs.project_id')
    .leftJoin('changes', 'changes.id', 'runs.change_id')
    .select(['runs.id', 'full_name', 'subject_number', 'label_event_id', 'runs.state', 'runs.reason', 'pull_number'])
    .execute()
  const pulls = (await forge.ledger('pull.created')).map(({ repo, number }) => `${repo}#${number}`)
  const owner = new Map(
    runs.map(({ full_name, subject_number, pull_number }) => [
      `${full_name}#${pull_number}`,
      `${full_name}#${subject_number}`,
    ]),
  )
  const perIssue = countBy(pulls.map((pull) => owner.get(pull) ?? 'no run'))
  const orphans = pulls.filter((pull) => !owner.has(pull))
  const ofIssue = (issue: string) => runs.filter((run) => `${run.full_name}#${run.subject_number}` === issue)
  const tell = (issue: string) => JSON.stringify(ofIssue(issue).map(({ id, state, reason }) => ({ id, state, reason })))
  return [
    ...orphans.map((pull) => doubled(`pull request ${pull}: no run of ours made it`)),
    ...expected.flatMap(({ issue, pulls: [least, most], asked, labelled, revisions }) => {
      const count = perIssue.get(issue) ?? 0
      const own = ofIssue(issue)
      const started = own.filter(({ state }) => state !== 'refused').length
      return [
        ...(count < least ? [lost(`${issue}: ${count} pull requests, at least ${least}; ${tell(issue)}`)] : []),
        ...(count > most ? [doubled(`${issue}: ${count} pull requests, at most ${most}; ${tell(issue)}`)] : []),
        ...(started > asked + revisions
          ? [doubled(`${issue}: ${started} runs for ${asked} label events; ${tell(issue)}`)]
          : []),
        ...(own.length > labelled + revisions
          ? [doubled(`${issue}: ${own.length} requests or runs for ${labelled} label events; ${tell(issue)}`)]
          : []),
        ...own.flatMap(({ id, state, reason }) =>
          state === 'failed' ? wrong(`run ${id} of ${issue} failed: ${reason}`) : [],
        ),
      ]
    }),
  ]
}

/** Service comments: one for each run that has something to say, never two. */
async function commentsAreOne(forge: System['forge'], db: Db, expected: readonly Expected[]): Promise<Finding[]> {
  const removed = new Set((await forge.ledger('comment.deleted')).map(({ id }) => id))
  const there = (await forge.ledger('comment.created')).filter(
    ({ id, firstLine }) => !removed.has(id) && firstLine?.includes('codex-k8s:run:'),
  )
  const markers: string[] = []
  for (const { repository, number } of expected) {
    if (!there.some((comment) => comment.repo === repository && comment.number === number)) continue
    const path = `/repos/${repository}/issues/${number}/comments?per_page=100`
    const comments = (await forge.person('maria', 'GET', path)) as { body: string }[]
    markers.push(...comments.flatMap(({ body }) => /codex-k8s:run:([0-9a-f-]{36})/.exec(body)?.[1] ?? []))
  }
  const times = countBy(markers)
  const succeeded = await db.selectFrom('runs').select('id').where('state', '=', 'succeeded').execute()
  return [
    ...[...times].flatMap(([run, count]) => (count > 1 ? doubled(`run ${run}: ${count} service comments`) : [])),
    ...succeeded.flatMap(({ id }) => (times.has(id) ? [] : lost(`run ${id}: succeeded without a service comment`))),
    ...(markers.length === there.length ? [] : [doubled(`${there.length} comments for ${markers.length} markers`)]),
  ]
}

/** Processes of agents: one for each attempt, and each run of a label event of its own. */
async function jobsAreOne(db: Db, jobs: ReturnType<System['jobs']>): Promise<Finding[]> {
  const times = countBy(jobs.map(({ run, attempt }) => `${run}/${attempt}`))
  const attempts = await db.selectFrom('attempts').select(['run_id', 'attempt']).execute()
  const known = new Set(attempts.map(({ run_id, attempt }) => `${run_id}/${attempt}`))
  return [...times].flatMap(([key, count]) => [
    ...(count > 1 ? [doubled(`attempt ${key}: ${count} processes`)] : []),
    ...(known.has(key) ? [] : [doubled(`attempt ${key}: a process without an attempt`)]),
  ])
}

/** The forge counted, by its own clock, and never had to refuse us (F14). */
async function limitsAreKept(forge: System['forge']): Promise<Finding[]> {
  const violated = await forge.ledger('limit.violated')
  return violated.map((entry) => wrong(`a limit of the forge: ${String(entry['violated'])}`))
}

/** A revision is one commit more on the pull request that was there. */
async function revisionsAreCommits(forge: System['forge'], db: Db, expected: readonly Expected[]): Promise<Finding[]> {
  const found: Finding[] = []
  for (const { issue, repository, number, revisions } of expected) {
    if (revisions === 0) continue
    const change = await db
      .selectFrom('changes')
      .innerJoin('runs', 'runs.change_id', 'changes.id')
      .innerJoin('projects', 'projects.id', 'runs.project_id')
      .select('pull_number')
      .where('full_name', '=', repository)
      .where('subject_number', '=', number)
      .where('pull_number', 'is not', null)
      .executeTakeFirstOrThrow()
    const path = `/repos/${repository}/pulls/${change.pull_number}/commits?per_page=100`
    const { length } = (await forge.person('maria', 'GET', path)) as object[]
    const says = `${issue}: ${length} commits for a run and ${revisions} revisions`
    if (length < 1 + revisions) found.push(lost(says))
    if (length > 1 + revisions) found.push(doubled(says))
  }
  return found
}

function countBy(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return counts
}
