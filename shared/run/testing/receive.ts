import type { Db } from '#shared/db/connect.ts'
import type { Row } from '#shared/db/schema.ts'
import { transaction } from '#shared/db/transaction.ts'
import { sha256 } from '#shared/digest.ts'
import { emit } from '#shared/outbox/write.ts'
import type { IssuesBody } from './forge-start.ts'
import { next } from './rows.ts'

/** Stores a webhook's body as the gateway does, by default for whoever consumes run labels; returns the outbox row's id. */
export async function receive(
  db: Db,
  project: Row<'projects'>,
  body: object,
  {
    event = 'issues',
    extensions = { labelgroup: 'run' },
  }: { event?: string; extensions?: Record<string, string> } = {},
): Promise<string> {
  const { action = '', repository } = body as Partial<IssuesBody>
  const hook = `hook${String(next()).padStart(8, '0')}`
  const bytes = Buffer.from(JSON.stringify(body))
  await db
    .insertInto('hooks')
    .values({ id: hook, provider: 'github', instance: project.instance, project_id: project.id, secret_name: 'main' })
    .execute()
  const delivery = `delivery ${next()}`
  const inbox = await db
    .insertInto('inbox')
    .values({
      hook_id: hook,
      delivery_id: delivery,
      event_name: event,
      body: bytes,
      body_digest: sha256(bytes),
      project_id: project.id,
      state: 'accepted',
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  const source = `https://github.com/${repository?.full_name ?? 'a/b'}`
  const time = new Date().toISOString()
  return transaction(db, (tx) =>
    emit(tx, 'webhook-gateway', {
      type: `com.github.${event}.${action}`,
      subject: 'an issue',
      extensions,
      data: null,
      rows: {},
      forge: { inboxId: inbox.id, source, id: delivery, time },
    }),
  )
}
