import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { connect } from '#shared/db/connect.ts'
import { ask, expectStatus } from './ask.ts'
import { startChild } from './child.ts'
import { eventAsk } from './event-ask.ts'
import { shown, short, spreadOf, type Figure, type Section } from './figures.ts'
import type { Ground } from './ground.ts'
import { copyLedger, fillOutbox, rebuildLedger } from './ledger-rows.ts'
import { memoryOf } from './proc.ts'

/** Rows per second of one size, and the most memory that was used, bytes. */
interface Measured {
  readonly rows: number
  readonly append: number
  readonly appendFloor: number
  readonly appendPeak: number
  readonly verify: number[]
  readonly read: number[]
  readonly verifyPeak: number
  /** Only of the smallest size. */
  readonly rebuild: number | undefined
}

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url))

/** The ledger at growing sizes: appended by the production bundle, verified by the command a distrustful person runs. */
export async function ledger(ground: Ground): Promise<Section> {
  const sizes = ground.quick ? [1_000, 5_000] : [10_000, 100_000, ground.full ? 1_000_000 : 300_000]
  const all: Measured[] = []
  for (const rows of sizes) all.push(await measure(ground, rows, ground.quick ? 1 : 3, rows === sizes[0]))
  // A heap takes what it is given until it has to collect: only between the larger sizes the memory says anything.
  const [small, large] = [all.at(-2), all.at(-1)]
  if (small === undefined || large === undefined) throw new Error('no size')
  return {
    figures: [...all.flatMap(figuresOf), ...memoryFigures(small, large)],
    notes: [
      'ledger: the floor of appending is INSERT ... SELECT of the same rows in the server, the floor of verifying is reading the same rows in the same way',
    ],
    data: all,
  }
}

async function measure(ground: Ground, rows: number, rounds: number, rebuilds: boolean): Promise<Measured> {
  const url = await ground.database()
  const db = connect(url, { name: 'bench' })
  const { subject, type } = await fillOutbox(url, rows)
  const env = { PORT: '0', DATABASE_URL: url, BROKER_URL: 'http://127.0.0.1:9', LOG_LEVEL: 'info' }
  const sink = await startChild(await ground.bundleOf('audit-sink'), { env, until: /"url":"([^"]+)".*"listening"/ })
  let append: number
  let appendPeak: number
  try {
    const knock = await eventAsk(db, 'audit-sink', type, subject)
    const began = performance.now()
    // A knock takes in everything, or what one round has time for: then it comes again, as a broker sends it.
    const base = sink.ready?.[1] ?? ''
    while ((await ask(base, knock)).status === 503);
    await expectStatus(base, 202, knock)
    append = rows / ((performance.now() - began) / 1_000)
    appendPeak = memoryOf(sink.pid).peak
  } finally {
    await sink.stop()
  }
  const { rows: counted } = await sql<{ count: number }>`select count(*) from ledger`.execute(db)
  if (counted[0]?.count !== rows) throw new Error(`${rows} events, and the ledger has ${counted[0]?.count} rows`)
  ground.say(`ledger: ${rows} rows appended, ${short(append)}/s`)
  const appendFloor = rows / (await copyLedger(url, rows))
  const verify: number[] = []
  const read: number[] = []
  let verifyPeak = 0
  for (let round = 0; round < rounds; round += 1) {
    const verified = await timed(path('../../deploy/audit-verify.ts'), url)
    verifyPeak = Math.max(verifyPeak, verified.peak)
    verify.push(rows / verified.seconds)
    read.push(rows / (await timed(path('ledger-read.ts'), url)).seconds)
  }
  await db.destroy()
  const rebuild = rebuilds ? rows / (await rebuildLedger(url)) : undefined
  return { rows, append, appendFloor, appendPeak, verify, read, verifyPeak, rebuild }
}

/** Runs a command that walks the ledger; its own seconds, so that the start of a process is no part of a rate. */
async function timed(script: string, url: string): Promise<{ seconds: number; peak: number }> {
  const began = performance.now()
  const child = await startChild(script, { env: { DATABASE_URL: url } })
  let peak = 0
  let over = false
  void child.ended.then(
    () => (over = true),
    () => (over = true),
  )
  while (!over) {
    try {
      peak = Math.max(peak, memoryOf(child.pid).peak)
    } catch {
      // It has just ended.
    }
    await sleep(20)
  }
  const printed = /\(([\d.]+) s\)/.exec(await child.ended)?.[1]
  const seconds = Number(printed ?? 0)
  // The command prints tenths; below a few of them the clock on the wall says more.
  return { seconds: seconds < 2 ? (performance.now() - began) / 1_000 : seconds, peak }
}

function figuresOf({ rows, append, appendFloor, verify, read, rebuild }: Measured): Figure[] {
  const [ours, floor] = [spreadOf(verify), spreadOf(read)]
  const million = 1_000_000 / ours.median
  return [
    {
      name: `ledger: append at ${short(rows)} rows`,
      ours: `${short(append)} rows/s`,
      beside: `copy in the server ${short(appendFloor)}`,
      ratio: append / appendFloor,
    },
    {
      name: `ledger: verify at ${short(rows)} rows`,
      ours: `${shown(ours)} rows/s; a million in ${short(million)} s`,
      beside: `read ${shown(floor)}`,
      ratio: ours.median / floor.median,
      ...(rows < 100_000 ? {} : { goal: '1,000,000 in < 60 s', met: million < 60 }),
    },
    ...(rebuild === undefined
      ? []
      : [
          {
            name: `ledger: rebuild at ${short(rows)} rows`,
            ours: `${short(rebuild)} rows/s`,
            beside: `read ${shown(floor)}`,
            ratio: rebuild / floor.median,
          },
        ]),
  ]
}

function memoryFigures(small: Measured, large: Measured): Figure[] {
  const figure = (name: string, at: (one: Measured) => number): Figure => {
    const ratio = at(large) / at(small)
    const shownAt = (one: Measured) => `${Math.round(at(one) / 1e6)} MB at ${short(one.rows)} rows`
    return {
      name: `ledger: peak memory of ${name}`,
      ours: shownAt(large),
      beside: shownAt(small),
      ratio,
      goal: 'constant (<= 1.5x)',
      met: ratio <= 1.5,
    }
  }
  return [figure('append', ({ appendPeak }) => appendPeak), figure('verify', ({ verifyPeak }) => verifyPeak)]
}
