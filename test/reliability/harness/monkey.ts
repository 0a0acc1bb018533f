import { setTimeout as sleep } from 'node:timers/promises'
import { killAgent, killSupervisor } from './agents.ts'
import type { Child } from './child.ts'
import type { DatabaseServer } from './database.ts'
import type { Replica } from './fleet.ts'
import type { HarnessForge } from './forge.ts'
import type { System } from './system.ts'
import type { Wire, WireFault } from './wire.ts'

/** What can go wrong, and is to. */
export interface Targets {
  readonly fleet: readonly Replica[]
  readonly broker: Child
  readonly database: DatabaseServer
  readonly wire: Wire
  readonly forge: HarnessForge
  readonly jobs: System['jobs']
}

/** Breaks things one after the other until it is told to stop; then everything is whole again. */
export interface Monkey {
  /** What it did, by kind. */
  readonly counts: ReadonlyMap<string, number>
  stop(): Promise<void>
}

/** What is to go wrong, and how often. */
export interface Mischief {
  readonly random: () => number
  /** Kinds of faults; left out: all. */
  readonly only?: readonly string[] | undefined
  /** Time between two faults, milliseconds: half of it to one and a half times as much. */
  readonly pauseMs: number
  readonly say: (line: string) => void
}

/** Starts it: one fault after the other, drawn from the random numbers. */
export function startMonkey(targets: Targets, { random, only, pauseMs, say }: Mischief): Monkey {
  const { fleet, broker, database, wire, forge, jobs } = targets
  const counts = new Map<string, number>()
  const between = (least: number, most: number) => least + random() * (most - least)
  const anyone = () => fleet[Math.floor(random() * fleet.length)]!
  const duringWire = async (fault: WireFault, ms: number) => {
    wire.set(fault)
    await sleep(ms)
    wire.set({ kind: 'none' })
  }
  const kill = () => anyone().process.kill()
  const away = async (how: 'fast' | 'immediate') => {
    await database.stop(how)
    await sleep(between(0, 2_000))
    await database.start()
  }
  const pause = async () => {
    const { process } = anyone()
    process.signal('SIGSTOP')
    await sleep(between(2_000, 6_000))
    process.signal('SIGCONT')
  }
  const all: readonly (readonly [weight: number, kind: string, act: () => Promise<unknown>])[] = [
    [80, 'kill', kill],
    [10, 'agent killed', async () => killAgent(jobs(), random)],
    [8, 'supervisor killed', async () => killSupervisor(jobs(), random)],
    [10, 'broker killed', () => broker.kill()],
    [6, 'database stopped', () => away('fast')],
    [6, 'database crashed', () => away('immediate')],
    [6, 'paused', pause],
    [4, 'connections reset', async () => wire.reset()],
    [2, 'connections forgotten', async () => wire.forget()],
    [4, 'wire half open', () => duringWire({ kind: 'halfOpen' }, between(500, 3_000))],
    [4, 'wire slow', () => duringWire({ kind: 'latency', ms: between(20, 200) }, between(1_000, 3_000))],
    [3, 'wire sliced', () => duringWire({ kind: 'slices', bytes: 7 }, between(1_000, 2_000))],
    ...forgeFaults(forge, between),
  ]
  const faults = all.filter(([, kind]) => only?.includes(kind) ?? true)
  const total = faults.reduce((sum, [weight]) => sum + weight, 0)
  let stopped = false
  const run = async () => {
    while (!stopped) {
      await sleep(between(pauseMs / 2, pauseMs * 1.5))
      let left = random() * total
      const [, kind, act] = faults.find(([weight]) => (left -= weight) < 0) ?? faults[0]!
      if (stopped) break
      say(kind)
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
      await act()
    }
    await forge.noFaults()
  }
  const running = run()
  return {
    counts,
    async stop() {
      stopped = true
      await running
    },
  }
}

/** The forge answers with errors, late, or not at all although it did what it was asked. */
function forgeFaults(forge: HarnessForge, between: (least: number, most: number) => number) {
  const some = (path = '^/repos', method?: string) => ({
    path,
    ...(method !== undefined && { method }),
    times: Math.ceil(between(1, 5)),
  })
  const effects = '/(comments|pulls|commits|refs|trees)$'
  return [
    [6, 'forge 502', () => forge.fault({ status: 502 }, some())],
    [3, 'forge 429', () => forge.fault({ status: 429, headers: { 'retry-after': '1' } }, some())],
    [4, 'forge slow', () => forge.fault({ delayMs: between(200, 4_000) }, some())],
    [4, 'forge resets', () => forge.fault('drop-before', some())],
    [12, 'forge applies and resets', () => forge.fault('apply-then-drop', some(effects, 'POST'))],
  ] as const satisfies readonly (readonly [number, string, () => Promise<void>])[]
}
