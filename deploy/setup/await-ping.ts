import { setTimeout as delay } from 'node:timers/promises'
import type { Db } from '#shared/db/connect.ts'
import { transaction } from '#shared/db/transaction.ts'
import { EVENT_TYPES } from '#shared/events/types.ts'
import { emit } from '#shared/outbox/write.ts'
import type { Step } from './projects.ts'
import { SELF_TEST } from './self-test.ts'

/** Longest way of a ping to the ledger, milliseconds: a sweep comes every five minutes, a cold start takes seconds. */
const PATIENCE_MS = 90_000

/** How far a ping has come, as the database has it; times in milliseconds since it was received. */
export interface Way {
  readonly inbox: 'accepted' | 'quarantined' | undefined
  readonly reason: string | null
  /** Handed to the broker. */
  readonly sentMs: number | null
  /** Of audit-sink's delivery. */
  readonly delivery: 'pending' | 'done' | 'quarantined' | undefined
  readonly outcome: string | null
  readonly ledgerMs: number | null
}

/** Where a ping is, and what to look at if it stays there. */
export function standing(way: Way | undefined): { readonly at: string; readonly mend: string } | 'there' {
  if (way?.inbox === undefined)
    return {
      at: 'gateway',
      mend: 'nothing was stored: kubectl logs -l serving.knative.dev/service=webhook-gateway -c user-container',
    }
  if (way.inbox === 'quarantined')
    return { at: 'gateway', mend: `it was set aside (${way.reason ?? ''}): is an older gateway still running?` }
  if (way.ledgerMs !== null) return 'there'
  if (way.sentMs === null)
    return {
      at: 'outbox',
      mend: 'the broker did not take it: kubectl get broker default, and brokerUrl of ConfigMap codex-k8s',
    }
  if (way.delivery === 'quarantined')
    return {
      at: 'sink',
      mend: `audit-sink gave up (${way.outcome ?? ''}): kubectl logs -l serving.knative.dev/service=audit-sink`,
    }
  return {
    at: 'broker',
    mend: "it took it and audit-sink has not stored it: kubectl get trigger audit-sink--everything, then its logs and the broker's",
  }
}

/** Follows the ping with this delivery id until the ledger has it. Says `ready` once the hook is there to receive it. */
export async function awaitPing(
  db: Db,
  delivery: string,
  say: (step: Step | { readonly problem: string; readonly mend: string }) => void,
): Promise<number> {
  await ensureSelfTestHook(db)
  say({ what: 'self-test', did: 'ready' })
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const way = await wayOf(db, delivery)
    const now = standing(way)
    if (now === 'there') {
      say({ what: 'stored', did: '0 ms' })
      say({ what: 'with the broker', did: way?.sentMs == null ? 'not marked yet' : `${way.sentMs} ms` })
      say({ what: 'in the ledger', did: `${way?.ledgerMs ?? 0} ms` })
      return 0
    }
    if (performance.now() > until) {
      say({ problem: `the ping stopped at the ${now.at}`, mend: now.mend })
      return 1
    }
    await delay(200)
  }
}

async function ensureSelfTestHook(db: Db): Promise<void> {
  await transaction(db, async (tx) => {
    const hook = await tx
      .insertInto('hooks')
      .values({
        id: SELF_TEST.hook,
        provider: 'github',
        instance: SELF_TEST.instance,
        secret_name: SELF_TEST.secretName,
      })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returningAll()
      .executeTakeFirst()
    if (hook === undefined) return
    await emit(tx, 'setup', {
      type: EVENT_TYPES.hookAdded,
      subject: `hooks/${hook.id}`,
      extensions: { provider: hook.provider },
      data: { hook: hook.id },
      rows: { hooks: [hook] },
    })
  })
}

async function wayOf(db: Db, delivery: string): Promise<Way | undefined> {
  const row = await db
    .selectFrom('inbox')
    .leftJoin('outbox', 'outbox.inbox_id', 'inbox.id')
    .leftJoin('deliveries', (join) =>
      join.onRef('deliveries.outbox_id', '=', 'outbox.id').on('deliveries.consumer', '=', 'audit-sink'),
    )
    .leftJoin('ledger', 'ledger.outbox_id', 'outbox.id')
    .select(['inbox.state as inbox', 'inbox.reason', 'received_at', 'sent_at', 'deliveries.state as delivery'])
    .select(['deliveries.outcome', 'settled_at', 'ledger.seq'])
    .where('hook_id', '=', SELF_TEST.hook)
    .where('delivery_id', '=', delivery)
    .executeTakeFirst()
  if (row === undefined) return undefined
  const since = (at: Date | null) => (at === null ? null : at.getTime() - row.received_at.getTime())
  return {
    inbox: row.inbox,
    reason: row.reason,
    sentMs: since(row.sent_at),
    delivery: row.delivery ?? undefined,
    outcome: row.outcome,
    ledgerMs: row.seq === null ? null : since(row.settled_at),
  }
}
