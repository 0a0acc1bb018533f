import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expectStatus, type Ask } from './ask.ts'
import { startChild, type Child } from './child.ts'
import { environmentOf } from './environment.ts'
import { shown, spreadOf, type Figure, type Section } from './figures.ts'
import { startForgeWorld } from './forge-world.ts'
import type { Ground } from './ground.ts'
import { startElsewhere } from './servers.ts'
import { walk, type Step } from './walk.ts'

/** Milliseconds from the start of the process. */
interface Start {
  readonly answer: number
  readonly event: number
}

const LISTENING = /"url":"([^"]+)".*"listening"/
const bare = fileURLToPath(new URL('bare-server.mjs', import.meta.url))

/** Longest start beside the bare server's, by what design.md promises. */
const goals = (name: string) => ({ answer: 1.4, event: name === 'stage-dispatcher' ? 1.8 : 1.6 })

/**
 * Every function from nothing to its first answer and to its first real event, beside a bare server that gets the same
 * request. Each measured start has a bare one right before it. As on Knative the probe comes first, then what waited.
 */
export async function starts(ground: Ground): Promise<Section> {
  const rounds = ground.quick ? 2 : 11
  const elsewhere = await startElsewhere()
  const world = await startForgeWorld(ground, await ground.database())
  await world.hook(elsewhere.hookUrl)
  const samples = new Map<string, { bare: Start[]; plain: Start[]; cached: Start[] }>()
  try {
    // The first round fills caches, the compile cache as well, and is not counted.
    for (let round = 0; round <= rounds; round += 1) {
      for (const variant of ['plain', 'cached'] as const) {
        for (const step of await walk(world, elsewhere)) {
          const asked = await step.ask()
          const floor = await start(bare, {}, asked, 202)
          const cache = join(ground.folder, 'compile-cache', step.name)
          mkdirSync(cache, { recursive: true })
          const env = environmentOf(step.name, world, elsewhere, ground.folder)
          const script = await ground.bundleOf(step.name)
          const more = variant === 'cached' ? { NODE_COMPILE_CACHE: cache } : undefined
          const ours = await start(script, { ...env, ...more }, asked, step.status, step.after)
          if (round === 0) continue
          const sample = samples.get(step.name) ?? { bare: [], plain: [], cached: [] }
          samples.set(step.name, sample)
          sample.bare.push(floor)
          sample[variant].push(ours)
        }
      }
      ground.say(`starts: round ${round} of ${rounds}`)
    }
  } finally {
    await world.close()
    elsewhere.close()
  }
  return {
    figures: [...samples].flatMap(([name, sample]) => figuresOf(name, sample)),
    notes: [
      `start: ${rounds} rounds; "event" includes what the function asks of database and forge, which a bare server does not`,
    ],
    data: Object.fromEntries(samples),
  }
}

async function start(
  script: string,
  env: Record<string, string>,
  asked: Ask,
  status: number,
  after?: Step['after'],
): Promise<Start> {
  const isBare = script === bare
  const began = performance.now()
  const child: Child = await startChild(script, { env, until: LISTENING })
  try {
    const url = child.ready?.[1] ?? ''
    await expectStatus(url, 200, { method: 'GET', path: '/healthz' })
    const answer = performance.now() - began
    await expectStatus(url, status, isBare ? { ...asked, method: 'POST' } : asked)
    const event = performance.now() - began
    await after?.(url)
    return { answer, event }
  } finally {
    await child.stop()
  }
}

function figuresOf(name: string, sample: { bare: Start[]; plain: Start[]; cached: Start[] }): Figure[] {
  return (['answer', 'event'] as const).map((what) => {
    const [floor, plain, cached] = (['bare', 'plain', 'cached'] as const).map((which) =>
      spreadOf(sample[which].map((each) => each[what])),
    ) as [ReturnType<typeof spreadOf>, ReturnType<typeof spreadOf>, ReturnType<typeof spreadOf>]
    const goal = goals(name)[what]
    // Judged by what ships today; the compile cache is a way to the goal.
    const ratio = plain.median / floor.median
    const withCache = `${(cached.median / floor.median).toFixed(2)}x with compile cache`
    return {
      name: `${name}: start to ${what}`,
      ours: `${shown(plain, ' ms')}; ${withCache}`,
      beside: `bare ${shown(floor, ' ms')}`,
      ratio,
      goal: `<= ${goal}x`,
      met: ratio <= goal,
    }
  })
}
