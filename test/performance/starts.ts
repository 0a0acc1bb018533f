import { fileURLToPath } from 'node:url'
import { expectStatus, type Ask } from './ask.ts'
import { startChild, type Child } from './child.ts'
import { environmentOf } from './environment.ts'
import { short, shown, spreadOf, type Figure, type Section } from './figures.ts'
import { startForgeWorld, wayThrough } from './forge-world.ts'
import type { Ground } from './ground.ts'
import { cpuSeconds } from './proc.ts'
import { startElsewhere } from './servers.ts'
import { walk, type Step } from './walk.ts'

/** Milliseconds from the start of the process, and what of the processor it had used by then. */
interface Start {
  readonly answer: number
  readonly event: number
  readonly answerCpu: number
  readonly eventCpu: number
}

/** The starts of one function, each with a bare one right before it. */
interface Sample {
  readonly bare: Start[]
  readonly ours: Start[]
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
  const samples = new Map<string, Sample>()
  try {
    // The first round fills the machine's caches and is not counted.
    for (let round = 0; round <= rounds; round += 1) {
      // Rounds follow each other faster than a forge may be asked, and waiting for that is no part of a start.
      await world.db.deleteFrom('forge_pace').execute()
      for (const step of await walk(wayThrough(world, elsewhere))) {
        const asked = await step.ask()
        const floor = await start(bare, {}, asked, 202)
        const env = environmentOf(step.name, world, elsewhere, ground.folder)
        const ours = await start(await ground.bundleOf(step.name), env, asked, step.status, step.after)
        if (round === 0) continue
        const sample = samples.get(step.name) ?? { bare: [], ours: [] }
        samples.set(step.name, sample)
        sample.bare.push(floor)
        sample.ours.push(ours)
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
    const answerCpu = cpuSeconds(child.pid) * 1_000
    await expectStatus(url, status, isBare ? { ...asked, method: 'POST' } : asked)
    const event = performance.now() - began
    const eventCpu = cpuSeconds(child.pid) * 1_000
    await after?.((expected, next) => expectStatus(url, expected, next))
    return { answer, event, answerCpu, eventCpu }
  } finally {
    await child.stop()
  }
}

function figuresOf(name: string, { bare: floors, ours }: Sample): Figure[] {
  return (['answer', 'event'] as const).map((what) => {
    const [floor, own] = [spreadOf(floors.map((each) => each[what])), spreadOf(ours.map((each) => each[what]))]
    // On a busy machine the processor's own time tells more; its clock ticks 100 times a second, so only the mean does.
    const cpu = (starts: readonly Start[]) => mean(starts.map((each) => each[`${what}Cpu`]))
    const goal = goals(name)[what]
    const ratio = own.median / floor.median
    return {
      name: `${name}: start to ${what}`,
      ours: `${shown(own, ' ms')}; CPU ${short(cpu(ours))} ms`,
      beside: `bare ${shown(floor, ' ms')}; CPU ${short(cpu(floors))} ms, ${(cpu(ours) / cpu(floors)).toFixed(2)}x`,
      ratio,
      goal: `<= ${goal}x`,
      met: ratio <= goal,
    }
  })
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
