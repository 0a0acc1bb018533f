import { NAMESPACE } from '../../cluster/platform.ts'
import { eventually } from '../../support/wait.ts'
import { short, type Section } from '../figures.ts'
import { EVERY_FIVE_MINUTES, schedule, SELDOM, type ClusterGround } from './ground.ts'
import { withSettings } from './settings.ts'

/** Knative's own, whatever the cluster was set to. */
const DEFAULTS = { 'stable-window': '60s', 'scale-to-zero-grace-period': '30s' }

/**
 * With Knative's default settings: everything is awake, the clock strikes, and everything goes; then nothing is there until
 * the clock strikes again. A pod counts until its object is gone.
 */
export async function idle(ground: ClusterGround): Promise<Section> {
  const { pods, functions, bare } = ground
  const ours = () => pods.all().filter(({ service }) => functions.includes(service))
  const none = (what: string) => eventually(() => ours().length === 0, { what, timeoutMs: 400_000, everyMs: 250 })
  const settings = await withSettings(DEFAULTS)
  try {
    const began = Date.now()
    const all = [...functions, ...bare.slice(0, 1)]
    await Promise.all(all.map((name) => ground.ask(name, 200, { method: 'GET', path: '/readyz' })))
    await ground.ask('reconciler', 202, { method: 'POST', path: '/sweep' })
    await schedule(EVERY_FIVE_MINUTES)
    const awake = Date.now()
    const bareGone = eventually(() => pods.all().every(({ service }) => !bare.includes(service)), {
      what: 'the bare pod to go',
      timeoutMs: 400_000,
      everyMs: 250,
    }).then(() => (Date.now() - awake) / 1_000)
    await none(`the pods in ${NAMESPACE} to go`)
    const gone = Date.now()
    ground.say(`idle: nothing is there after ${(gone - awake) / 1_000} s`)
    await eventually(() => ours().length > 0, { what: 'the clock to strike', timeoutMs: 330_000, everyMs: 50 })
    const struck = Date.now()
    // Whoever the sweep wakes, too.
    const woken = new Set<string>()
    await eventually(
      () => {
        for (const { service } of ours()) woken.add(service)
        return ours().length === 0
      },
      { what: 'what the sweep has woken to go', timeoutMs: 400_000, everyMs: 250 },
    )
    const again = Date.now()
    const [toZero, empty, afterSweep] = [gone - awake, struck - gone, again - struck].map((each) => each / 1_000)
    const between = 300 - (afterSweep ?? 0)
    return {
      figures: [
        {
          name: "idle: pods of ours between sweeps, Knative's default settings",
          ours: between > 0 ? `0 for ${short(between)} of 300 s` : 'never 0',
          beside: `bare gone after ${short(await bareGone)} s`,
          goal: '0',
          met: between > 0,
        },
      ],
      notes: [
        `idle: with all functions awake nothing was left after ${short(toZero ?? 0)} s, and nothing came for ${short(empty ?? 0)} s, until the clock struck; the sweep woke ${[...woken].join(', ')}, which were gone ${short(afterSweep ?? 0)} s later`,
      ],
      data: { began, toZero, empty, afterSweep, woken: [...woken] },
    }
  } finally {
    await settings.restore()
    await schedule(SELDOM)
  }
}
