import type { EditedFile } from '../../support/edited-source.ts'
import type { Finding } from './oracle.ts'

/** A guard taken away, what has to break for its loss to show, and what the oracle then finds. */
export interface HarnessMutant {
  readonly name: string
  readonly edits: readonly EditedFile[]
  readonly statements?: readonly string[]
  /** Kinds of faults; none where disorder of the deliveries is enough. */
  readonly faults: readonly string[]
  /** Share of deliveries whose body comes again under another id; by default that of every history. */
  readonly newIds?: number
  readonly finds: Finding['kind']
  /** What the first such finding says. */
  readonly says: RegExp
}

/** How long a history is in which the loss of a guard shows. */
export const SHORT = { deliveries: 250, seconds: 20, stillSeconds: 30, replicas: 1, pauseMs: 300 }

/** Guards without which a short history has to go wrong; the first two need no faults. */
export const mutants: readonly HarnessMutant[] = [
  {
    name: 'the inbox does not know deliveries again',
    statements: ['alter table inbox drop constraint inbox_hook_id_delivery_id_key'],
    edits: [
      {
        file: 'functions/webhook-gateway/store.ts',
        edits: [['on conflict (hook_id, delivery_id) do nothing returning id', 'returning id']],
      },
    ],
    faults: [],
    finds: 'doubled',
    says: /stored \d+ times/,
  },
  {
    name: 'a run is not known by its label event',
    edits: [
      {
        file: 'functions/label-router/intent-keys.ts',
        edits: [['label_event_id: labelEvent.id,', 'label_event_id: `${labelEvent.id}-${crypto.randomUUID()}`,']],
      },
    ],
    faults: [],
    newIds: 1,
    finds: 'doubled',
    says: /runs for \d+ label events/,
  },
  {
    name: 'the gateway acknowledges what it has not stored',
    edits: [
      {
        file: 'functions/webhook-gateway/handler.ts',
        edits: [
          [
            'digest: sha256(bytes) }, decision)',
            "digest: sha256(bytes) }, decision).catch(() => ({ state: 'accepted', reason: null, duplicate: false, unsent: [] }))",
          ],
        ],
      },
    ],
    faults: ['connections reset'],
    finds: 'lost',
    says: /acknowledged, not stored/,
  },
  {
    name: 'C5: the relay marks what the broker did not take',
    edits: [
      {
        file: 'shared/outbox/relay.ts',
        edits: [['await publish(row, until).catch(() => false)', 'await publish(row, until).catch(() => true)']],
      },
    ],
    faults: ['broker killed'],
    finds: 'lost',
    says: /the broker never accepted it/,
  },
  {
    name: 'F8: nobody sweeps what the broker forgot',
    edits: [
      {
        file: 'functions/reconciler/due.ts',
        edits: [
          ['return rows.rows.map(({ owner }) => owner)', 'return rows.rows.slice(0, 0).map(({ owner }) => owner)'],
        ],
      },
    ],
    faults: ['broker killed'],
    finds: 'lost',
    says: /pending|still/,
  },
  {
    name: 'the reporter does not look for its comment',
    edits: [
      {
        file: 'functions/status-reporter/handler.ts',
        edits: [
          [
            'const [oldest, ...others] = await forge.find(run.subject_number, marker(run.id))',
            'const oldest = undefined, others = []',
          ],
          ['const all = isOver(run) ? await forge.find(run.subject_number, marker(run.id)) : []', 'const all = []'],
        ],
      },
    ],
    faults: ['forge applies and resets'],
    finds: 'doubled',
    says: /service comments/,
  },
]
