import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { grouped } from '#shared/grouped.ts'
import { emitAll, type Emission } from '#shared/outbox/write.ts'
import { currentTrace } from '#shared/telemetry/trace.ts'
import type { Decision, Project } from './decide.ts'
import type { Hook, Received, Stored, Storage } from './handler.ts'

const inboxColumns = [
  'id',
  'hook_id',
  'delivery_id',
  'event_name',
  'body_digest',
  'project_id',
  'state',
  'reason',
  'received_at',
] as const

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
 * The gateway's tables. What arrives together is looked up and written together, because a transaction costs ten times
 * what a row in it does.
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

async function findHooks(db: Db, ids: readonly string[]): Promise<(Hook | undefined)[]> {
  const rows = await db
    .selectFrom('hooks')
    .leftJoin('projects', 'projects.id', 'hooks.project_id')
    .select(['hooks.id', 'hooks.instance', 'hooks.project_id', 'hooks.secret_name'])
    .select(['projects.repository_id', 'projects.state', 'projects.settings'])
    // By the database's clock: replicas agree on when a secret ends.
    .select(sql<string | null>`case when previous_until > now() then previous_secret_name end`.as('previous'))
    .where('hooks.id', '=', sql<string>`any(${[...new Set(ids)]}::text[])`)
    .where('hooks.provider', '=', 'github')
    .execute()
  const found = new Map(
    rows.map(({ id, instance, project_id: projectId, secret_name: secretName, previous, ...own }): [string, Hook] => {
      const { repository_id: repositoryId, state, settings } = own
      const project: Project | undefined =
        projectId === null || repositoryId === null || state === null
          ? undefined
          : { id: projectId, repositoryId, state, settings }
      return [id, { id, instance, projectId, project, secretName, previousSecretName: previous }]
    }),
  )
  return ids.map((id) => found.get(id))
}

const keyOf = (row: { hook_id: string; delivery_id: string }) => `${row.hook_id} ${row.delivery_id}`

/**
 * Inbox, outbox and deliveries of a group in one transaction. Undefined stands for a delivery whose hook has delivered
 * its id before: nothing is written for it. The rows of the outbox are leased to the relay of these very requests.
 */
async function write(db: Db, group: readonly Judged[]): Promise<(Stored | undefined)[]> {
  const lease = randomUUID()
  const { rows, events } = await transaction(db, async (tx) => {
    const inserted = await insert(tx, group)
    const written = await emitAll(tx, 'webhook-gateway', inserted.map(emissionOf), lease)
    crashPoint('gateway.before-commit')
    return { rows: inserted, events: written }
  })
  const stored = new Map(
    rows.map(({ row, judged }, index): [Judged, Stored] => {
      const event = events[index]
      const unsent = event === undefined ? [] : [{ ...event, lease, body: judged.received.bytes }]
      return [judged, { state: row.state, reason: row.reason, duplicate: false, unsent }]
    }),
  )
  return group.map((judged) => stored.get(judged))
}

/**
 * The inbox rows without their bodies. A row that is there already is not written again; neither is the second of two
 * equal ones in the group. All replicas write in one order, so that two groups never wait for each other.
 */
async function insert(tx: Tx, group: readonly Judged[]) {
  const first = new Map<string, Judged>()
  for (const judged of group) {
    const { hook, deliveryId } = judged.received
    const key = keyOf({ hook_id: hook.id, delivery_id: deliveryId })
    if (!first.has(key)) first.set(key, judged)
  }
  const rows = await tx
    .insertInto('inbox')
    .values(
      [...first]
        .toSorted(([one], [other]) => (one < other ? -1 : 1))
        .map(([, { received, decision }]) => ({
          hook_id: received.hook.id,
          delivery_id: received.deliveryId,
          event_name: received.event,
          body: received.bytes,
          body_digest: received.digest,
          project_id: decision.projectId,
          state: decision.kind === 'accept' ? 'accepted' : 'quarantined',
          reason: decision.kind === 'accept' ? null : decision.reason,
        })),
    )
    .onConflict((conflict) => conflict.columns(['hook_id', 'delivery_id']).doNothing())
    .returning(inboxColumns)
    .execute()
  return rows.flatMap((row) => {
    const judged = first.get(keyOf(row))
    return judged === undefined ? [] : [{ row, judged }]
  })
}

/** What the delivery says; of one that is set aside only the ledger hears, because nobody acts on it. */
function emissionOf({ row, judged }: Awaited<ReturnType<typeof insert>>[number]): Emission {
  const { decision, traceparent } = judged
  const rows = { inbox: [row] }
  if (decision.kind === 'quarantine') {
    return {
      type: EVENT_TYPES.webhookQuarantined,
      subject: `inbox/${row.id}`,
      extensions: { provider: 'github', project: row.project_id ?? undefined, traceparent },
      data: { inbox: row.id, reason: row.reason },
      rows,
    }
  }
  const { extensions, attributes } = decision
  const { source, type, subject, time } = attributes
  const forge = { inboxId: row.id, source, id: row.delivery_id, time }
  return { type, subject, extensions: { ...extensions, traceparent }, data: null, rows, forge }
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
