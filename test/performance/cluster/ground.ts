import { openPlace, type Place } from '../../cluster/place.ts'
import { list } from '../../cluster/kubectl.ts'
import { functionUrl, NAMESPACE, RUNS_NAMESPACE } from '../../cluster/platform.ts'
import { startInstallation } from '../../cluster/setup.ts'
import { eventually } from '../../support/wait.ts'
import type { Ask } from '../ask.ts'
import type { WayThrough } from '../walk.ts'
import type { Asked, Errand, Outcome } from './asker.ts'
import { startBare } from './bare.ts'
import { startAsker } from './errands.ts'
import { patch } from './patch.ts'
import { withSettings } from './settings.ts'
import { startPlaceWithoutBroker } from './without-broker.ts'
import { watchPods, type Pods } from './watch.ts'

/** What every section stands on. */
export interface ClusterGround {
  readonly quick: boolean
  /** Database, forge and door. */
  readonly place: Place
  readonly pods: Pods
  /** Names of the functions. */
  readonly functions: readonly string[]
  /** Knative Services of the same resources around a bare `node:http` server. */
  readonly bare: readonly string[]
  /** Asks a Service from inside of the cluster; fails when the status is another one. */
  ask(service: string, status: number, asked: Ask): Promise<Asked>
  run<E extends Errand>(errand: E): Promise<Outcome<E>>
  /** Waits until none of our pods takes requests. One that is going has had its last. */
  atZero(): Promise<void>
  /** Waits until everything that was accepted is handled. */
  settled(): Promise<void>
  /**
   * Lets events come to nobody, in a database of its own: what functions post is taken elsewhere and forgotten, and each
   * function can be asked for exactly one event. Everything is at zero before and after it.
   */
  withoutBroker<T>(work: (way: WayThrough) => Promise<T>): Promise<T>
  say(line: string): void
  close(): Promise<void>
}

/** Installs everything with the images of this tree, and what is needed to measure it. */
export async function prepareCluster(quick: boolean, say: (line: string) => void): Promise<ClusterGround> {
  const closing: (() => unknown)[] = []
  const close = async () => {
    for (const step of closing.splice(0).toReversed()) await step()
  }
  // Also when it is stopped: what is changed is the whole cluster's.
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const])
    process.once(signal, () => void close().finally(() => process.exit(code)))
  try {
    const { installed, world, stop } = await startInstallation()
    closing.push(stop)
    say('installed')
    // Nothing is swept but where that is measured, and no agent runs: of a Job only the object is wanted.
    await schedule(SELDOM)
    await patch(`resourcequota/runs`, RUNS_NAMESPACE, { spec: { hard: { pods: '0' } } })
    const bare = await startBare(installed)
    const asker = await startAsker(installed)
    closing.push(() => asker.stop())
    const place = await openPlace('bench', installed)
    closing.push(() => place.close())
    const pods = await watchPods(NAMESPACE)
    closing.push(() => pods.stop())
    const faster = await withSettings({ 'stable-window': '6s', 'scale-to-zero-grace-period': '6s' })
    closing.push(() => faster.restore())

    const functions = (await list('ksvc', NAMESPACE)).map(({ metadata }) => metadata.name)
    const atZero = async () => {
      await eventually(() => pods.all().every(({ going }) => going), {
        what: 'all functions to be at zero',
        timeoutMs: 300_000,
        everyMs: 100,
      })
    }
    return {
      quick,
      place,
      pods,
      functions: functions.filter((name) => !bare.includes(name)),
      bare,
      run: asker.run,
      async ask(service, status, asked) {
        // JSON has no bytes; every body is text.
        const { body, ...rest } = asked
        const errand = { ...rest, ...(body !== undefined && { body: body.toString() }) }
        const answer = await asker.run({ kind: 'ask', base: functionUrl(service), asked: errand })
        if (answer.status !== status)
          throw new Error(`${service} ${asked.path}: ${answer.status} and not ${status}: ${answer.body.slice(0, 500)}`)
        return answer
      },
      atZero,
      settled: () => settled(place, () => asker.run(SWEEP)),
      async withoutBroker(work) {
        await atZero()
        const place = await startPlaceWithoutBroker(installed, world)
        try {
          return await work(place.way)
        } finally {
          await atZero()
          await place.stop()
        }
      },
      say,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** When the reconciler is woken; in between nothing of ours has a reason to be there. */
export const EVERY_FIVE_MINUTES = '*/5 * * * *'
export const SELDOM = '0 0 1 1 *'

/** Tells the clock of the platform. */
export const schedule = (when: string) => patch('pingsource/sweep', NAMESPACE, { spec: { schedule: when } })

/** A broker forgets, and then the clock comes by. */
const SWEEP: Errand = {
  kind: 'ask',
  base: functionUrl('reconciler'),
  asked: { method: 'POST', path: '/sweep?grace=5' },
}
const PATIENCE_MS = 15_000

async function settled({ db }: Place, sweep: () => Promise<unknown>): Promise<void> {
  let until = performance.now() + PATIENCE_MS
  await eventually(
    async () => {
      const left = await db
        .selectFrom('accounting')
        .select(['deliveries_pending', 'unsent', 'deliveries_quarantined'])
        .executeTakeFirstOrThrow()
      if (left.deliveries_pending + left.unsent === 0) return true
      if (performance.now() > until) {
        await sweep()
        until = performance.now() + PATIENCE_MS
      }
      throw new Error(JSON.stringify(left))
    },
    { what: 'everything to be handled', timeoutMs: 180_000, everyMs: 100 },
  )
}
