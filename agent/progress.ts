import type { Progress } from '#shared/job/result.ts'
import type { Redact } from './log.ts'

type Kind = Progress['kind']

/** Lines sent at once before the rate holds: a short run shows each of its lines. */
const BURST = 8
const INTERVAL = 500

/** Sends progress lines, at most two a second over time. */
export interface ProgressReporter {
  say(kind: Kind, text: string): void
  /** Nothing is sent after the line that is on its way. */
  close(): Promise<void>
}

/**
 * Lines that come faster than they may be sent replace each other: only the newest waits. A line that cannot be
 * delivered is lost, and the run goes on; `onStop` is called when run-gateway says that the attempt is over.
 */
export function progressReporter(deps: {
  readonly send: (progress: Progress) => Promise<boolean>
  readonly redact: Redact
  readonly onStop: () => void
}): ProgressReporter {
  let sequence = 0
  let allowance = BURST
  let refilled = Date.now()
  let queue: { kind: Kind; text: string }[] = []
  let timer: NodeJS.Timeout | undefined
  let sending: Promise<void> | undefined

  const next = (): void => {
    if (sending !== undefined || timer !== undefined || queue.length === 0) return
    const now = Date.now()
    const earned = Math.floor((now - refilled) / INTERVAL)
    allowance = Math.min(BURST, allowance + earned)
    refilled += earned * INTERVAL
    if (allowance === 0) {
      queue = queue.slice(-1)
      timer = setTimeout(
        () => {
          timer = undefined
          next()
        },
        refilled + INTERVAL - now,
      )
      return
    }
    queue = queue.slice(-allowance)
    const line = queue.shift()
    if (line === undefined) return
    allowance--
    sending = deps
      .send({ sequence: ++sequence, ...line })
      .then((stop) => (stop ? deps.onStop() : undefined))
      .catch(() => undefined)
      .finally(() => {
        sending = undefined
        next()
      })
  }

  return {
    say(kind, text) {
      queue.push({ kind, text: oneLine(deps.redact(text)) })
      next()
    },
    async close() {
      clearTimeout(timer)
      queue = []
      await sending
    },
  }
}

/** One line of at most 300 characters. */
function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length <= 300 ? line : `${line.slice(0, 299).toWellFormed()}…`
}
