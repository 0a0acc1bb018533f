import { setTimeout as sleep } from 'node:timers/promises'
import type { EditedFile } from '../../support/edited-source.ts'
import { corpus } from '../../performance/corpus.ts'
import type { HarnessForge } from './forge.ts'
import { generate } from './history.ts'
import { signed, startMailbox, type Mailbox } from './mailbox.ts'
import { expectations } from './model.ts'
import { startMonkey } from './monkey.ts'
import { judge, type Finding } from './oracle.ts'
import { actLate, prepare } from './people.ts'
import { startReviewers } from './reviewers.ts'
import { startSender, type Sender } from './sender.ts'
import { startSystem, type System } from './system.ts'

/** What to play. */
export interface HarnessOptions {
  /** Requests to the gateway, at least. */
  readonly deliveries: number
  readonly seed: number
  /** How long the deliveries take, seconds; the drain comes after. */
  readonly seconds: number
  /** What breaks while it plays, by the monkey's names; default everything. */
  readonly faults?: readonly string[]
  /** Time between two faults, milliseconds. */
  readonly pauseMs?: number
  /** Share of deliveries whose body comes again under another id; default 0.05. */
  readonly newIds?: number
  readonly replicas?: number
  /** Whether every run waits for an approval, which is given, refused or left to run out; default no. */
  readonly isGated?: boolean
  /** A mutant: source files that say something else, and what is done to the database. */
  readonly edits?: readonly EditedFile[]
  readonly statements?: readonly string[]
  /** How long nothing may move after the last delivery while something waits, seconds; default 120. A slow machine moves slowly. */
  readonly stillSeconds?: number
  readonly say?: (line: string) => void
  /** Every line that a process prints. */
  readonly log?: (line: string) => void
}

/** What was seen. */
export interface Outcome {
  readonly table: Readonly<Record<string, number>>
  readonly faults: ReadonlyMap<string, number>
  readonly findings: readonly Finding[]
}

const REPOSITORIES = 3

/** How many requests of a hundred are about a run label: repeats of five issues' one label among them. */
const RUN_LABEL_SHARE = 0.05 / 1.35

/** Plays a generated history against the running system while things break, lets it come to rest and compares the ledgers. */
export async function play(options: HarnessOptions): Promise<Outcome> {
  const {
    deliveries,
    seed,
    seconds,
    faults,
    pauseMs = 1_000,
    newIds = 0.05,
    replicas = 2,
    isGated = false,
    say = () => {},
    log = () => {},
  } = options
  const begun = performance.now()
  const history = generate(seed, Math.max(1, Math.round(deliveries * RUN_LABEL_SHARE)), REPOSITORIES, isGated)
  const mailbox = await startMailbox(history.random, { duplicates: 0.3, newIds, reordered: 0.1 })
  const closers: (() => Promise<unknown>)[] = [() => mailbox.close()]
  try {
    const { edits = [], statements = [] } = options
    const system = await startSystem({
      seed,
      repositories: REPOSITORIES,
      replicas,
      isGated,
      edits,
      statements,
      mailboxUrl: mailbox.url,
      say: log,
    })
    closers.push(() => system.close())
    const { forge } = system
    say(`the system runs after ${since(begun)} s`)
    const { opened, late } = await prepare(history.issues, forge, mailbox, seconds)
    const settledAt = (await forge.ledger()).at(-1)?.seq ?? 0
    say(`${history.issues.length} issues, ${mailbox.waiting} deliveries wait`)

    const gateways = system.ports['webhook-gateway'].map((port) => `http://127.0.0.1:${port}`)
    const sender = startSender(mailbox, gateways, deliveries / seconds)
    closers.push(() => sender.close())
    const sweeping = sweepAgainAndAgain(system)
    const mischief = { random: history.random, only: faults, pauseMs, say: (what: string) => log(`--- ${what}`) }
    const monkey = faults?.length === 0 ? undefined : startMonkey(system, mischief)
    const acting = actLate(late)
    const reviewers = startReviewers(system, opened)
    closers.push(() => reviewers.stop())
    await sendUntil(deliveries, forge, mailbox, sender, history.random)
    await Promise.all([acting, monkey?.stop()])
    say(`${sender.ledger.sent} sent after ${since(begun)} s; draining`)
    sender.hurry()
    const quiet = await drain(system, () => sender.idle() && reviewers.idle(), options.stillSeconds ?? 120)
    await Promise.all([sweeping.stop(), reviewers.stop()])
    if (!quiet) say('it did not come to rest')

    const expected = expectations(await forge.ledger(), settledAt, opened, reviewers.revisions)
    const findings = await judge(system, sender.ledger, expected)
    const accounting = await system.db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
    const count = (kind: Finding['kind']) => findings.filter((finding) => finding.kind === kind).length
    const table = {
      sent: sender.ledger.sent,
      acknowledged: sender.ledger.acknowledgements,
      refused: sender.ledger.refused,
      stored: accounting.accepted,
      done: accounting.done,
      pending: accounting.pending,
      quarantined: accounting.quarantined,
      issues: history.issues.length,
      jobs: system.jobs().length,
      pulls: (await forge.ledger('pull.created')).length,
      events: (await system.db.selectFrom('outbox').select('id').execute()).length,
      lost: count('lost'),
      doubled: count('doubled'),
      wrong: count('wrong'),
      faults: [...(monkey?.counts.values() ?? [])].reduce((sum, each) => sum + each, 0),
      restarts: system.fleet.reduce((sum, { process }) => sum + process.restarts, system.broker.restarts),
      slowestMs: Math.round(sender.ledger.slowest),
      seconds: since(begun),
      seed,
    }
    return { table, faults: monkey?.counts ?? new Map(), findings }
  } finally {
    for (const closer of closers.toReversed()) await closer()
  }
}

const since = (begun: number) => Math.round((performance.now() - begun) / 1_000)

/** Fills up with what a busy repository sends besides, until so many requests were made. */
async function sendUntil(
  deliveries: number,
  forge: HarnessForge,
  mailbox: Mailbox,
  sender: Sender,
  random: () => number,
): Promise<void> {
  const noise = forge.repositories.map((repository) => ({
    repository,
    bodies: corpus(repository.id, repository.secret),
  }))
  for (let offered = 0; sender.ledger.sent < deliveries;) {
    const room = deliveries - sender.ledger.sent - mailbox.waiting
    if (room > 0) {
      const { repository, bodies } = noise[offered % noise.length]!
      const { event, body } = bodies[Math.floor(random() * bodies.length)]!
      mailbox.offer(signed(event, body, repository))
      offered += 1
    }
    // Not faster than it is sent, so that a noise delivery is one of the moment.
    if (room <= 0 || offered % 5 === 0) await sleep(20)
  }
}

/** The clock of the platform: the reconciler is asked again and again, whoever is away. */
function sweepAgainAndAgain({ ports }: System): { stop(): Promise<void> } {
  const stopped = new AbortController()
  const sweep = async () => {
    for (let turn = 0; !stopped.signal.aborted; turn += 1) {
      const port = ports.reconciler[turn % ports.reconciler.length]
      const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(30_000)])
      await fetch(`http://127.0.0.1:${port}/sweep?grace=2`, { method: 'POST', signal }).catch(() => {})
      await sleep(2_000, undefined, { signal: stopped.signal }).catch(() => {})
    }
  }
  const sweeping = sweep()
  return {
    async stop() {
      stopped.abort()
      await sweeping
    },
  }
}

/** Whether everything comes to rest: nothing waits anywhere, three times in a row. Given up when nothing moves any more. */
async function drain({ db, forge }: System, idle: () => boolean, stillSeconds: number): Promise<boolean> {
  let [quiet, last, moved] = [0, '', performance.now()]
  // Whatever goes round in circles moves for ever.
  const end = performance.now() + 10 * stillSeconds * 1_000
  for (; performance.now() < Math.min(end, moved + stillSeconds * 1_000); await sleep(500)) {
    const accounting = await db.selectFrom('accounting').selectAll().executeTakeFirstOrThrow()
    const active = await db
      .selectFrom('runs')
      .select(['id', 'version'])
      .where('state', 'not in', ['refused', 'succeeded', 'failed', 'cancelled'])
      .execute()
    const behind = await db.selectFrom('comments').select('run_id').whereRef('wanted', '>', 'done').execute()
    const { deliveries_pending, unsent } = accounting
    const held = deliveries_pending + unsent + active.length + behind.length + (await forge.pending())
    quiet = held === 0 && idle() ? quiet + 1 : 0
    if (quiet === 3) return true
    const now = JSON.stringify([accounting, active, behind])
    if (now !== last) [last, moved] = [now, performance.now()]
  }
  return false
}
