import { crashPoint } from '#shared/crash-point.ts'
import { RetryLater } from '#shared/errors.ts'
import type { Attempts } from '#shared/forge/github/hook-deliveries.ts'
import type { Log } from '#shared/log.ts'
import type { Catching, DueHook } from './catch-up-store.ts'
import type { Project } from './handler.ts'

/** What the forge says of its own deliveries, for the hook of a project or, without one, of our App. */
export interface DeliveriesOf {
  attempts(cursor: string | undefined): Promise<Attempts | 'gone' | 'lost'>
  /** Asks for a delivery once more. `left` is the share of the hour's requests that is left, 0 to 1. */
  again(attemptId: string): Promise<{ readonly answer: 'asked' | 'gone'; readonly left: number }>
}

/** What catching up needs from the world. */
export interface CatchUpDeps extends Catching {
  deliveriesOf(project: Project | undefined, forgeHookId: string): DeliveriesOf
  /** Holds label events against the runs; returns the outbox rows it wrote. */
  scanLabels(graceSeconds: number, deadline: AbortSignal): Promise<readonly string[]>
  readonly log: Log
}

/** Redeliveries asked for in one sweep. */
const MOST_ASKED = 200

/** Share of the hour's requests that is left to the work itself: each redelivery is followed by some six requests. */
const HEADROOM = 0.4

/**
 * What the forge tried to tell us while nobody listened: its lists of deliveries are held against the inbox, what is missing
 * is asked for again, so that the gateway checks and stores it as ever; what cannot come again is looked for in the label
 * events themselves. Each step is committed for itself, and goes on where the last sweep ended.
 */
export function catchUp(deps: CatchUpDeps) {
  return async (graceSeconds: number, deadline: AbortSignal): Promise<readonly string[]> => {
    for (
      let hook = await deps.dueHook(graceSeconds);
      hook && !deadline.aborted;
      hook = await deps.dueHook(graceSeconds)
    )
      await checkHook(deps, hook, deadline)
    await askAgain(deps, deadline)
    return deps.scanLabels(graceSeconds, deadline)
  }
}

async function checkHook(deps: CatchUpDeps, hook: DueHook, deadline: AbortSignal): Promise<void> {
  const forge = deps.deliveriesOf(hook.project, hook.forgeHookId)
  let missing = 0
  try {
    for (let cursor = hook.cursor; ;) {
      if (deadline.aborted) return await deps.postpone(hook, undefined, 0)
      const list = await forge.attempts(cursor)
      if (list === 'lost') return await deps.restart(hook)
      if (list === 'gone') {
        deps.log.warn({ hook: hook.id }, 'the forge does not show this hook')
        return await deps.postpone(hook, 'the forge does not show this hook')
      }
      const isEnd = list.next === undefined || list.attempts.some(({ at }) => at < hook.from)
      cursor = isEnd ? undefined : list.next
      const within = list.attempts.filter(({ at }) => at >= hook.from && at <= hook.until)
      missing += await deps.keep(hook, within, cursor)
      crashPoint('catch-up.after-page')
      if (cursor === undefined) break
    }
  } catch (error) {
    if (!(error instanceof RetryLater)) throw error
    deps.log.warn({ hook: hook.id, err: error }, 'the list of deliveries could not be read')
    await deps.postpone(hook, error.message, error.seconds)
  }
  if (missing > 0) deps.log.warn({ hook: hook.id, missing }, 'deliveries are missing')
}

async function askAgain(deps: CatchUpDeps, deadline: AbortSignal): Promise<void> {
  const { arrived, givenUp } = await deps.settle()
  const silent: string[] = []
  let asked = 0
  let gone = givenUp
  while (asked < MOST_ASKED && !deadline.aborted) {
    const due = await deps.dueRedelivery(silent)
    if (due === undefined) break
    crashPoint('catch-up.before-redelivery')
    try {
      const { answer, left } = await deps.deliveriesOf(due.project, due.forgeHookId).again(due.attemptId)
      if (answer === 'asked') asked += 1
      else {
        gone += 1
        await deps.giveUp(due)
      }
      if (left < HEADROOM) silent.push(due.hookId)
    } catch (error) {
      if (!(error instanceof RetryLater)) throw error
      await deps.putBack(due, error.seconds)
      silent.push(due.hookId)
    }
  }
  if (arrived + asked > 0) deps.log.info({ arrived, asked }, 'redeliveries')
  if (gone > 0) deps.log.warn({ givenUp: gone }, 'deliveries do not come again; their label events are looked for')
}
