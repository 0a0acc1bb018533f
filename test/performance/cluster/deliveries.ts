import { sql } from 'kysely'
import { functionUrl } from '../../cluster/platform.ts'
import { eventually } from '../../support/wait.ts'
import { corpus } from '../corpus.ts'
import { onlyRow } from '../event-ask.ts'
import { short, type Section } from '../figures.ts'
import type { ClusterGround } from './ground.ts'

/** What wakes more than the ledger asks the forge about things that are not there. */
const OTHERS = ['issues', 'issue_comment', 'pull_request', 'pull_request_review']
const CONNECTIONS = 32

/** How many signed deliveries a second go through ingress, gateway and broker to the ledger. */
export async function deliveries(ground: ClusterGround): Promise<Section> {
  const seconds = ground.quick ? 3 : 20
  const { place, run, settled } = ground
  const { db, repository } = place
  const { repository_id } = await onlyRow(
    db.selectFrom('projects').select('repository_id').where('id', '=', repository.projectId),
  )
  const bodies = corpus(repository_id, repository.secret).filter(({ event }) => !OTHERS.includes(event))
  const load = (service: string, path: string, forSeconds: number) =>
    run({
      kind: 'load',
      load: { url: `${functionUrl(service)}${path}`, connections: CONNECTIONS, seconds: forSeconds },
      bodies,
    })
  const bare = ground.bare[0] ?? ''
  await load(bare, '/', 3)
  const floor = await load(bare, '/', seconds)

  await load('webhook-gateway', repository.hookPath, 3)
  await settled()
  const before = await count(ground)
  const began = performance.now()
  const took = () => (performance.now() - began) / 1_000
  const result = await load('webhook-gateway', repository.hookPath, seconds)
  const kept = (await count(ground)).ledger - before.ledger
  let sweeps = 0
  await eventually(
    async () => {
      const { ledger } = await count(ground)
      if (ledger - before.ledger >= result.accepted) return true
      // The broker has forgotten something: the clock would come by.
      if (took() > seconds + 20 * (sweeps + 1)) {
        sweeps += 1
        await ground.ask('reconciler', 202, { method: 'POST', path: '/sweep?grace=5' })
      }
      throw new Error(`${ledger - before.ledger} of ${result.accepted} are in the ledger`)
    },
    { what: 'the ledger', timeoutMs: 180_000, everyMs: 100 },
  )
  const all = took()
  const { inbox } = await count(ground)
  if (inbox - before.inbox !== result.accepted)
    throw new Error(`${result.accepted} were accepted and ${inbox - before.inbox} are stored`)
  return {
    figures: [
      {
        name: 'deliveries per second, through ingress and gateway: answered 202',
        ours: `${short(result.accepted / result.seconds)}; p50 ${short(result.p50)}, p99 ${short(result.p99)} ms`,
        beside: `bare ${short(floor.accepted / floor.seconds)}; p50 ${short(floor.p50)}, p99 ${short(floor.p99)} ms`,
        ratio: result.accepted / result.seconds / (floor.accepted / floor.seconds),
      },
      {
        name: 'deliveries per second, through gateway and broker to the ledger',
        ours: short(result.accepted / all),
        beside: '',
      },
    ],
    notes: [
      `deliveries: ${CONNECTIONS} connections for ${seconds} s from a pod; of ${result.accepted} ${kept} were in the ledger at the end of it and all ${short(all - result.seconds)} s later, ${sweeps} sweeps needed; refused ${JSON.stringify(result.refused)}; the database does not wait for its disk`,
    ],
    data: { result, floor, kept, sweeps, seconds: all },
  }
}

async function count({ place: { db } }: ClusterGround): Promise<{ inbox: number; ledger: number }> {
  const { rows } = await sql<{ inbox: number; ledger: number }>`
    select (select count(*) from inbox)::int as inbox,
      (select count(*) from ledger join outbox on outbox.id = ledger.outbox_id where outbox.inbox_id is not null)::int as ledger
  `.execute(db)
  return rows[0] ?? { inbox: 0, ledger: 0 }
}
