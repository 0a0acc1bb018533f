import { sql } from 'kysely'
import { crashPoint } from '#shared/crash-point.ts'
import type { Db } from '#shared/db/connect.ts'
import { transaction, type Tx } from '#shared/db/transaction.ts'
import { emit } from '#shared/outbox/write.ts'
import type { Decision, Project } from './decide.ts'
import type { Hook, Received, Stored, Storage } from './handler.ts'

const projectColumns = [
  'projects.id',
  'projects.repository_id as repositoryId',
  'projects.state',
  'projects.settings',
] as const

/** The gateway's tables. */
export function store(db: Db): Storage {
  return {
    findHook(id): Promise<Hook | undefined> {
      return (
        db
          .selectFrom('hooks')
          .select(['id', 'instance', 'project_id as projectId', 'secret_name as secretName'])
          // By the database's clock: replicas agree on when a secret ends.
          .select(
            sql<string | null>`case when previous_until > now() then previous_secret_name end`.as('previousSecretName'),
          )
          .where('id', '=', id)
          .where('provider', '=', 'github')
          .executeTakeFirst()
      )
    },

    findProject(hook, repositoryId, installationId): Promise<Project | undefined> {
      const projects = db.selectFrom('projects').select(projectColumns)
      if (hook.projectId !== null) return projects.where('id', '=', hook.projectId).executeTakeFirst()
      if (repositoryId === undefined || installationId === undefined) return Promise.resolve(undefined)
      return projects
        .where('provider', '=', 'github')
        .where('instance', '=', hook.instance)
        .where('repository_id', '=', repositoryId)
        .where('installation_id', '=', installationId)
        .executeTakeFirst()
    },

    async save(received, decision): Promise<Stored> {
      try {
        return await transaction(db, (tx) => write(tx, received, decision))
      } catch (error) {
        if (!isEventIdTaken(error)) throw error
        // Another hook's row is this event already: kept, but not published a second time.
        const { projectId } = decision
        return transaction(db, (tx) => write(tx, received, { kind: 'quarantine', projectId, reason: 'event_id_taken' }))
      }
    },
  }
}

async function write(tx: Tx, received: Received, decision: Decision): Promise<Stored> {
  const row = await insert(tx, received, decision)
  if (row === undefined) return repeated(tx, received, decision)
  const outboxIds: string[] = []
  if (decision.kind === 'accept') {
    const { source, type, subject, time } = decision.attributes
    const forge = { inboxId: row.id, source, id: received.deliveryId, time }
    const { extensions } = decision
    outboxIds.push(
      await emit(tx, 'webhook-gateway', { type, subject, extensions, data: null, rows: { inbox: [row] }, forge }),
    )
  }
  crashPoint('gateway.before-commit')
  return { state: row.state, reason: row.reason, duplicate: false, outboxIds }
}

/** The inbox row without its body, or undefined when the hook has delivered this id before. */
function insert(tx: Tx, { hook, deliveryId, event, bytes, digest }: Received, decision: Decision) {
  return tx
    .insertInto('inbox')
    .values({
      hook_id: hook.id,
      delivery_id: deliveryId,
      event_name: event,
      body: bytes,
      body_digest: digest,
      project_id: decision.projectId,
      state: decision.kind === 'accept' ? 'accepted' : 'quarantined',
      reason: decision.kind === 'accept' ? null : decision.reason,
    })
    .onConflict((conflict) => conflict.columns(['hook_id', 'delivery_id']).doNothing())
    .returning([
      'id',
      'hook_id',
      'delivery_id',
      'event_name',
      'body_digest',
      'project_id',
      'state',
      'reason',
      'received_at',
    ])
    .executeTakeFirst()
}

/**
 * The same id again. With the same body it is the forge repeating itself, and what has not reached the broker yet goes
 * along. Another body under a used id would be lost without a trace; it is set aside under an id no sender can use.
 */
async function repeated(tx: Tx, received: Received, { projectId }: Decision): Promise<Stored> {
  const before = await tx
    .selectFrom('inbox')
    .leftJoin('outbox', (join) => join.onRef('outbox.inbox_id', '=', 'inbox.id').on('outbox.sent_at', 'is', null))
    .select(['inbox.body_digest', 'inbox.state', 'inbox.reason', 'outbox.id as outboxId'])
    .where('hook_id', '=', received.hook.id)
    .where('delivery_id', '=', received.deliveryId)
    .executeTakeFirstOrThrow()
  if (before.body_digest === received.digest) {
    return {
      state: before.state,
      reason: before.reason,
      duplicate: true,
      outboxIds: before.outboxId === null ? [] : [before.outboxId],
    }
  }
  const reason = 'delivery_id_reused'
  const deliveryId = `${received.deliveryId} ${received.digest}`
  const row = await insert(tx, { ...received, deliveryId }, { kind: 'quarantine', projectId, reason })
  return { state: 'quarantined', reason, duplicate: row === undefined, outboxIds: [] }
}

function isEventIdTaken(error: unknown): boolean {
  const { code, constraint } = error as { code?: string; constraint?: string }
  return code === '23505' && constraint === 'outbox_source_event_id_key'
}
