import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import { prepared, type Db } from '#shared/db/connect.ts'
import { unrefused } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { grouped } from '#shared/grouped.ts'
import { emitBeside, type EmissionBeside } from '#shared/outbox/write.ts'
import { currentTrace } from '#shared/telemetry/trace.ts'
import type { Decision, Project } from './decide.ts'
import type { Hook, Received, Stored, Storage } from './handler.ts'

/** A delivery and what was decided about it. */
interface Judged {
  readonly received: Received
  readonly decision: Decision
  /** Of the request it came in; what is written together belongs to several. */
  readonly traceparent: string | undefined
}

/** Bytes of the bodies in one transaction, so that small deliveries do not wait long behind large ones. */
const GROUP_BYTES = 4 * 1024 * 1024

/**
 * The gateway's tables. What arrives together is looked up and written together, each time in one statement: a trip to
 * the database and a transaction cost ten times what a row does.
 */
export function store(db: Db): Storage {
  const hooks = grouped({ run: (ids: readonly string[]) => findHooks(db, ids) })
  const saves = grouped({
    size: { of: ({ received }: Judged) => received.bytes.length, full: GROUP_BYTES },
    run: (group: readonly Judged[]) => write(db, group),
  })
  const save = async (judged: Judged): Promise<Stored> =>
    (await saves.add(judged).catch((error: unknown) => alone(db, judged, error))) ?? repeated(db, judged)
  return {
    findHook: (id) => hooks.add(id),
    async findProject(hook, repositoryId, installationId) {
      if (hook.projectId !== null) return hook.project
      if (repositoryId === undefined || installationId === undefined) return undefined
      return db
        .selectFrom('projects')
        .select(['id', 'repository_id as repositoryId', 'state', 'settings'])
        .where('provider', '=', 'github')
        .where('instance', '=', hook.instance)
        .where('repository_id', '=', repositoryId)
        .where('installation_id', '=', installationId)
        .executeTakeFirst()
    },
    save: (received, decision) => save({ received, decision, traceparent: currentTrace() }),
    waitedMs: () => Math.max(hooks.waitedMs(), saves.waitedMs()),
  }
}

/** For an id that nobody has some other hook is read, and forgotten: time must not tell which hooks there are. */
async function findHooks(db: Db, ids: readonly string[]): Promise<(Hook | undefined)[]> {
  const rows = await db
    .selectFrom(sql<{ asked: string }>`unnest(${[...new Set(ids)]}::text[])`.as<'wanted'>(sql`wanted (asked)`))
    .innerJoin('hooks', (join) =>
      join.on(
        'hooks.id',
        '=',
        sql`coalesce(
          (select id from hooks as own where own.id = asked and own.provider = 'github'),
          (select min(id) from hooks as other where other.provider = 'github'))`,
      ),
    )
    .leftJoin('projects', 'projects.id', 'hooks.project_id')
    .modifyFront(prepared)
    .select(['wanted.asked', 'hooks.id', 'hooks.instance', 'hooks.project_id', 'hooks.secret_name'])
    .select(['projects.repository_id', 'projects.state', 'projects.settings'])
    // By the database's clock: replicas agree on when a secret ends, and on when a delivery came.
    .select(sql<Date>`now()::timestamptz(3)`.as('seenAt'))
    .select(sql<string | null>`case when previous_until > now() then previous_secret_name end`.as('previous'))
    .execute()
  const found = new Map(
    rows.map((row): [string, Hook | undefined] => {
      const { asked, id, instance, project_id: projectId, repository_id: repositoryId, state, settings } = row
      const isConnected = projectId !== null && repositoryId !== null && state !== null
      const project: Project | undefined = isConnected ? { id: projectId, repositoryId, state, settings } : undefined
      const { secret_name: secretName, previous: previousSecretName, seenAt } = row
      const hook = { id, instance, projectId, project, secretName, previousSecretName, seenAt }
      return [asked, id === asked ? hook : undefined]
    }),
  )
  return ids.map((id) => found.get(id))
}

/**
 * Inbox, outbox and deliveries of a group in one statement. Undefined stands for a delivery whose hook has delivered its
 * id before, be it in the same group: nothing is written for it. The rows of the outbox are leased to the relay of these
 * very requests. All replicas write in one order, so that two groups never wait for each other.
 */
async function write(db: Db, group: readonly Judged[]): Promise<(Stored | undefined)[]> {
  const lease = randomUUID()
  const rows = new Map(group.map((judged) => [judged, rowOf(judged)]))
  const inOrder = [...rows].toSorted(([, one], [, other]) => compare(keyOf(one), keyOf(other)))
  const emissions = inOrder.map(([judged, row]) => emissionOf(judged, row))
  crashPoint('gateway.before-commit')
  const events = await unrefused(() => emitBeside(db, 'webhook-gateway', keep(inOrder), emissions, lease))
  const eventOf = new Map(events.map((event) => [event.beside, event]))
  return group.map((judged) => {
    const { id, state, reason } = rows.get(judged)!
    const event = eventOf.get(id)
    if (event === undefined) return undefined
    return { state, reason, duplicate: false, unsent: [{ ...event, lease, body: judged.received.bytes }] }
  })
}

type InboxRow = ReturnType<typeof rowOf>

/** The inbox row without its body: what the ledger keeps of a delivery. */
function rowOf({ received, decision }: Judged) {
  const isAccepted = decision.kind === 'accept'
  return {
    id: randomUUID(),
    hook_id: received.hook.id,
    delivery_id: received.deliveryId,
    event_name: received.event,
    body_digest: received.digest,
    project_id: decision.projectId,
    state: isAccepted ? ('accepted' as const) : ('quarantined' as const),
    reason: isAccepted ? null : decision.reason,
    received_at: received.hook.seenAt,
  }
}

const keyOf = (row: InboxRow) => `${row.hook_id} ${row.delivery_id}`
const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0)

/** Writes the rows that are not there yet, with their bodies, which travel as one value: the driver would spell out a list of them. */
function keep(rows: readonly (readonly [Judged, InboxRow])[]) {
  let end = 0
  const places = rows.map(([{ received }, row]) => {
    const start = end + 1
    end += received.bytes.length
    return { ...row, start, length: received.bytes.length }
  })
  return sql`
    insert into inbox (id, hook_id, delivery_id, event_name, body, body_digest, project_id, state, reason, received_at)
    select id, hook_id, delivery_id, event_name,
      substring(${Buffer.concat(
        rows.map(([{ received }]) => received.bytes),
        end,
      )}::bytea from start for length),
      body_digest, project_id, state, reason, received_at
    from jsonb_to_recordset(${JSON.stringify(places)}::jsonb) as row (
      id uuid, hook_id text, delivery_id text, event_name text, body_digest text, project_id uuid, state text, reason text,
      received_at timestamptz, start integer, length integer)
    on conflict (hook_id, delivery_id) do nothing
    returning id`
}

/** What the delivery says; of one that is set aside only the ledger hears, because nobody acts on it. */
function emissionOf({ decision, traceparent }: Judged, row: InboxRow): EmissionBeside {
  const about = { beside: row.id, rows: { inbox: [row] } }
  if (decision.kind === 'quarantine') {
    return {
      type: EVENT_TYPES.webhookQuarantined,
      subject: `inbox/${row.id}`,
      extensions: { provider: 'github', project: row.project_id ?? undefined, traceparent },
      data: { inbox: row.id, reason: row.reason },
      ...about,
    }
  }
  const { extensions, attributes } = decision
  const { source, type, subject, time } = attributes
  const forge = { inboxId: row.id, source, id: row.delivery_id, time }
  return { type, subject, extensions: { ...extensions, traceparent }, data: null, forge, ...about }
}

/**
 * A group that failed for one of its rows is written row by row, each in a transaction of its own: one never fails the
 * others. Anything else than a row that cannot be written is no reason to try again.
 */
async function alone(db: Db, { received, decision, traceparent }: Judged, error: unknown): Promise<Stored | undefined> {
  if (!isAboutARow(error)) throw error
  const one = (each: Decision) => write(db, [{ received, decision: each, traceparent }]).then(([stored]) => stored)
  return one(decision).catch((own: unknown) => {
    if (!isEventIdTaken(own)) throw own
    // Another hook's row is this event already: kept, but not published a second time.
    return one({ kind: 'quarantine', projectId: decision.projectId, reason: 'event_id_taken' })
  })
}

/**
 * The same id again. With the same body it is the forge repeating itself, and what has not reached the broker yet goes
 * along. Another body under a used id would be lost without a trace; it is set aside under an id no sender can use.
 */
async function repeated(db: Db, { received, decision, traceparent }: Judged): Promise<Stored> {
  const before = await db
    .selectFrom('inbox')
    .leftJoin('outbox', (join) => join.onRef('outbox.inbox_id', '=', 'inbox.id').on('outbox.sent_at', 'is', null))
    .select(['inbox.body_digest', 'inbox.state', 'inbox.reason', 'outbox.id as outboxId'])
    .where('hook_id', '=', received.hook.id)
    .where('delivery_id', '=', received.deliveryId)
    .executeTakeFirstOrThrow()
  if (before.body_digest === received.digest) {
    const unsent = before.outboxId === null ? [] : [before.outboxId]
    return { state: before.state, reason: before.reason, duplicate: true, unsent }
  }
  const reason = 'delivery_id_reused'
  const deliveryId = `${received.deliveryId} ${received.digest}`
  const aside = { kind: 'quarantine', projectId: decision.projectId, reason } as const
  const [stored] = await write(db, [{ received: { ...received, deliveryId }, decision: aside, traceparent }])
  return stored ?? { state: 'quarantined', reason, duplicate: true, unsent: [] }
}

/** A value or a constraint (classes 22 and 23), and not the database's own condition. */
function isAboutARow(error: unknown): boolean {
  return /^2[23]/.test((error as { code?: string }).code ?? '')
}

function isEventIdTaken(error: unknown): boolean {
  const { code, constraint } = error as { code?: string; constraint?: string }
  return code === '23505' && constraint === 'outbox_source_event_id_key'
}
