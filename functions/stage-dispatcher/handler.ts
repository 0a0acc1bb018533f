import * as v from 'valibot'
import { crashPoint } from '#shared/crash-point.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import { EVENT_TYPES, RunEvent } from '#shared/events/types.ts'
import type { Handler, Settlement, Writer } from '#shared/outbox/deliver.ts'
import { RetryLater } from '#shared/errors.ts'
import { traceOfRun } from '#shared/run/trace.ts'
import { inSpan, type SpanOptions } from '#shared/telemetry/trace.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import { oneByOne } from '#shared/one-by-one.ts'
import { judge, type OpenAttempt } from './decide.ts'
import type { Created, Job, JobRef, Launcher } from './launcher.ts'

/** An attempt whose Job is to be created, or found. */
export interface Intended {
  readonly run: Row<'runs'>
  readonly attempt: Row<'attempts'>
  readonly job: Job
}

/** An attempt that is due, and where its Job is. */
export interface Due {
  readonly run: Row<'runs'>
  readonly attempt: Omit<OpenAttempt, 'job'>
  readonly ref: JobRef
}

/** What this function needs from the world, and nothing more. */
export interface Deps {
  readonly launcher: Launcher
  /**
   * Commits an intent for each queued run that fits, in order, asks the router about those that waited long, and says
   * to the others where they stand.
   * Returns every intent of the project whose Job is not known to exist, also one from before a crash.
   */
  intend(project: string): Promise<{ readonly intended: readonly Intended[]; readonly written: readonly string[] }>
  /** The Job exists: the attempt is created, the run runs. */
  confirm(writer: Writer, intended: Intended, uid: string): Promise<void>
  /** There is no room for its Job: whoever waits for the run is told why, once. */
  hold(writer: Writer, intended: Intended, detail: string): Promise<void>
  /** The name is not a Job of ours. */
  disown(writer: Writer, intended: Intended): Promise<void>
  /** The Job cannot exist, or met a limit: the run failed. False: the run moved on since it was read and stays as it is. */
  fail(writer: Writer, run: Row<'runs'>, reason: ReasonCode, detail: string | undefined): Promise<boolean>
  /** The Job is gone: a new attempt, or the end. False: the run moved on since it was read and stays as it is. */
  lose(writer: Writer, run: Row<'runs'>, again: boolean, detail: string): Promise<boolean>
  /** Jobs that nobody waits for any more: the run is over by our decision, or the attempt has ended. */
  unwanted(runId?: string): Promise<readonly JobRef[]>
  /** Returns the outbox rows it wrote. */
  markGone(name: string): Promise<readonly string[]>
  /** Open attempts that were created so long ago or are past their deadline, or the one whose Job has this name. */
  due(which: { readonly graceSeconds: number } | { readonly job: string }): Promise<readonly Due[]>
  projectsWaiting(graceSeconds: number): Promise<readonly string[]>
  /** One transaction of its own, outside a delivery; returns the outbox rows it wrote. */
  write(work: (writer: Writer) => Promise<void>): Promise<readonly string[]>
}

/** An approval or freed capacity starts what fits; a cancelled run's Job is stopped. */
export function stageDispatcher(deps: Deps): Handler {
  return async (event: Delivered): Promise<Settlement> => {
    const { run, project } = v.parse(RunEvent, event.data)
    // Also once a result is in: whatever the agent goes on with is of no use to anybody.
    const stopped = event.type === EVENT_TYPES.stageApproved ? [] : await stopUnwanted(deps, run)
    const { write, written, count } = await launch(deps, project)
    return {
      outcome: count === 0 ? 'nothing to start' : `started ${count}`,
      written: [...stopped, ...written],
      write,
    }
  }
}

/** What the broker, the launcher or a crash left behind. */
export function sweepDispatcher(deps: Deps): (graceSeconds: number) => Promise<readonly string[]> {
  return async (graceSeconds) => {
    const written: string[] = []
    const judgeDue = async (due: Due) => void written.push(...(await judgeAttempt(deps, due)).written)
    const launchWaiting = async (project: string) => {
      const launched = await launch(deps, project)
      written.push(...launched.written, ...(await deps.write(launched.write)))
    }
    await oneByOne<() => Promise<void>>(
      [
        async () => void written.push(...(await stopUnwanted(deps))),
        async () => oneByOne(await deps.due({ graceSeconds }), judgeDue),
        async () => oneByOne(await deps.projectsWaiting(graceSeconds), launchWaiting),
      ],
      (step) => step(),
    )
    return written
  }
}

/** How often a knock looks again at a run that moved on while it was judged. */
const LOOKS = 5

/**
 * Somebody says that a Job has ended. Whoever it is, and whatever else is said, is not believed: the attempt is judged
 * by what launcher and database show, as a sweep would, and a result that was handed in just before wins.
 */
export function knockAtDispatcher(deps: Deps): (job: string) => Promise<readonly string[]> {
  return async (job) => {
    for (let look = 1; look <= LOOKS; look += 1) {
      const [due] = await deps.due({ job })
      if (due === undefined) return []
      const { written, movedOn } = await judgeAttempt(deps, due)
      if (!movedOn) return written
    }
    throw new RetryLater(`the run of Job ${job} keeps moving`, { seconds: 1 })
  }
}

/** Judges one open attempt by its Job, writes what follows, and stops the Job of an attempt that is over. */
async function judgeAttempt(deps: Deps, { run, attempt, ref }: Due) {
  const job = await deps.launcher.get(ref).catch((error: unknown) => {
    // Its time is over, whatever became of the Job.
    if (attempt.deadlinePassed) return undefined
    throw error
  })
  const verdict = judge({ ...attempt, job })
  if (verdict.kind === 'leave' || verdict.kind === 'launch') return { written: [], movedOn: false }
  let movedOn = false
  const written = await deps.write(async (writer) => {
    movedOn = !(verdict.kind === 'lost'
      ? await deps.lose(writer, run, verdict.again, verdict.detail)
      : await deps.fail(writer, run, verdict.reason, verdict.detail))
    crashPoint('dispatcher.before-verdict-commit')
  })
  crashPoint('dispatcher.after-verdict')
  // Also what is lost: an agent may still be at work where nobody watches over it any more.
  await deps.launcher.stop(ref)
  return { written, movedOn }
}

/** Whoever's event made room for it, the Job belongs to its own run's trace. */
function spanOf({ run, attempt }: Intended): SpanOptions {
  const attributes = { 'faas.name': 'stage-dispatcher', 'codex_k8s.run': run.id, 'codex_k8s.attempt': attempt.attempt }
  return { name: 'create Job', kind: 'client', parent: traceOfRun(run), attributes }
}

/** Intent first, then the Job, then the record of it: at every arrow a crash leaves something that can be found by name. */
async function launch(deps: Deps, project: string) {
  const { intended, written: said } = await deps.intend(project)
  const written = [...said]
  crashPoint('dispatcher.after-intent')
  const created: { intent: Intended; outcome: Created }[] = []
  const write = async (writer: Writer) => {
    for (const { intent, outcome } of created) {
      if (outcome.kind !== 'refused' && outcome.run === intent.run.id) await deps.confirm(writer, intent, outcome.uid)
      else {
        // Never ours to stop: there is none, or it is somebody else's.
        await deps.disown(writer, intent)
        const [reason, detail] =
          outcome.kind === 'refused'
            ? (['job_refused', outcome.detail] as const)
            : (['job_name_conflict', intent.job.name] as const)
        await deps.fail(writer, intent.run, reason, detail)
      }
    }
  }
  try {
    await oneByOne(intended, async (intent) => {
      // Its agent has spoken to us: the Job was there once. If it is gone it is lost, never silently created again.
      if (intent.attempt.last_seen_at !== null && (await deps.launcher.get(intent.job)) === undefined) return
      const outcome = await inSpan(spanOf(intent), () => deps.launcher.create(intent.job))
      if (outcome.kind === 'held') {
        written.push(...(await deps.write((writer) => deps.hold(writer, intent, outcome.detail))))
        throw new RetryLater(outcome.detail, { seconds: outcome.seconds })
      }
      created.push({ intent, outcome })
      crashPoint('dispatcher.after-create')
    })
  } catch (error) {
    // What was created is recorded all the same; the rest is asked for again.
    await deps.write(write)
    throw error
  }
  return { written, count: created.length, write }
}

async function stopUnwanted(deps: Deps, runId?: string): Promise<readonly string[]> {
  const written: string[] = []
  await oneByOne(await deps.unwanted(runId), async (job) => {
    await deps.launcher.stop(job)
    written.push(...(await deps.markGone(job.name)))
  })
  return written
}
