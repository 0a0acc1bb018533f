import type { Pace } from '#shared/pace.ts'

/** One request that a process would like to make, and what becomes of it. */
export interface Step {
  /** Since the step before, whichever process made that. */
  readonly gapMs: number
  readonly points: number
  readonly content: number
  /** How long request and answer are on their way. */
  readonly thereMs: number
  readonly backMs: number
  readonly mood: 'answers' | 'limits' | 'limits without a time'
}

/** GitHub's limits as it publishes them. */
const LIMITS = [
  { of: 'points', count: 900, ms: 60_000 },
  { of: 'content', count: 80, ms: 60_000 },
  { of: 'content', count: 500, ms: 3_600_000 },
] as const

const LONGEST_WAIT_MS = 10_000

/** Plays the steps on a clock of its own against a forge that counts what arrives, and bans whoever goes on during silence. */
export async function forgeThatBans(steps: readonly Step[], paceOf: (now: () => number) => Pace) {
  let now = 0
  const pace = paceOf(() => now)
  const violations: string[] = []
  const arrived: { at: number; points: number; content: number }[] = []
  let silentUntil = -Infinity
  const queue: { at: number; run: () => Promise<void> | void }[] = []
  const at = (time: number, run: () => Promise<void> | void) => {
    let index = queue.length
    while (index > 0 && (queue[index - 1]?.at ?? 0) > time) index--
    queue.splice(index, 0, { at: time, run })
  }

  const arrives = ({ points, content }: Step) => {
    arrived.push({ at: now, points, content })
    for (const { of, count, ms } of LIMITS) {
      let sum = 0
      for (let index = arrived.length - 1; index >= 0; index--) {
        const one = arrived[index]
        if (one === undefined || one.at <= now - ms) break
        sum += one[of]
      }
      if (sum > count) violations.push(`${sum} ${of} in ${ms / 1_000} s`)
    }
  }
  const send = (step: Step) => {
    if (now < silentUntil) violations.push('a request during silence')
    at(now + step.thereMs, () => {
      arrives(step)
      if (step.mood === 'answers') return
      at(now + step.backMs, async () => {
        const named = step.mood === 'limits' ? 120 : undefined
        await pace.silence('app', named)
        silentUntil = Math.max(silentUntil, now + (named ?? 60) * 1_000)
      })
    })
  }
  const want = async (step: Step) => {
    const wait = await pace.spend('app', step, LONGEST_WAIT_MS)
    if (wait > LONGEST_WAIT_MS) return
    if (wait === 0) return send(step)
    at(now + wait, async () => {
      if ((await pace.spend('app', { points: 0, content: 0 }, 0)) === 0) send(step)
    })
  }

  let wanted = 0
  for (const step of steps) at((wanted += step.gapMs), () => want(step))
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    now = next.at
    await next.run()
  }
  return { violations, hours: now / 3_600_000, sent: arrived.length }
}
