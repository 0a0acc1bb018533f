import * as v from 'valibot'
import { crashPoint } from '#shared/crash-point.ts'
import type { Row } from '#shared/db/schema.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import { EVENT_TYPES, RunEvent } from '#shared/events/types.ts'
import type { Handler, Settlement, Writer } from '#shared/outbox/deliver.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import { judge, type OpenAttempt } from './decide.ts'
import type { Created, Job, Launcher } from './launcher.ts'

/** An attempt whose Job is to be created, or found. */
export interface Intended {
  readonly run: Row<'runs'>
  readonly attempt: Row<'attempts'>
  readonly job: Job
}

/** An attempt that is due, with the name of its Job. */
export interface Due {
  readonly run: Row<'runs'>
  readonly attempt: Omit<OpenAttempt, 'job'>
  readonly name: string
}

/** What this function needs from the world, and nothing more. */
export interface Deps {
  readonly launcher: Launcher
  /**
   * Commits an intent for each queued run that fits, in order, and asks the router about those that waited long.
   * Returns every intent of the project whose Job is not known to exist, also one from before a crash.
   */
  intend(project: string): Promise<{ readonly intended: readonly Intended[]; readonly written: readonly string[] }>
  /** The Job exists: the attempt is created, the run runs. */
  confirm(writer: Writer, intended: Intended, uid: string): Promise<void>
  /** The Job cannot exist: the run failed. */
  fail(writer: Writer, run: Row<'runs'>, reason: ReasonCode, detail: string | undefined): Promise<void>
  /** The Job is gone: a new attempt, or the end. */
  lose(writer: Writer, run: Row<'runs'>, again: boolean, detail: string): Promise<void>
  /** Says why the run waits, if it does. */
  announceWait(writer: Writer, runId: string): Promise<void>
  /** Names of Jobs of runs that are over by our decision. */
  unwanted(runId?: string): Promise<readonly string[]>
  markGone(name: string): Promise<void>
  due(graceSeconds: number): Promise<readonly Due[]>
  projectsWaiting(graceSeconds: number): Promise<readonly string[]>
  /** One transaction of its own, outside a delivery; returns the outbox rows it wrote. */
  write(work: (writer: Writer) => Promise<void>): Promise<readonly string[]>
}

/** An approval or freed capacity starts what fits; a cancelled run's Job is stopped. */
export function stageDispatcher(deps: Deps): Handler {
  return async (event: Delivered): Promise<Settlement> => {
    const { run, project } = v.parse(RunEvent, event.data)
    if (event.type === EVENT_TYPES.runCancelled) await stopUnwanted(deps, run)
    const { write, written, count } = await launch(deps, project)
    return {
      outcome: count === 0 ? 'nothing to start' : `started ${count}`,
      written,
      write: async (writer) => {
        await write(writer)
        if (event.type === EVENT_TYPES.stageApproved) await deps.announceWait(writer, run)
      },
    }
  }
}

/** What the broker, the launcher or a crash left behind. */
export function sweepDispatcher(deps: Deps): (graceSeconds: number) => Promise<readonly string[]> {
  return async (graceSeconds) => {
    const written: string[] = []
    await stopUnwanted(deps)
    for (const { run, attempt, name } of await deps.due(graceSeconds)) {
      const verdict = judge({ ...attempt, job: await deps.launcher.get(name) })
      if (verdict.kind === 'lost')
        written.push(...(await deps.write((writer) => deps.lose(writer, run, verdict.again, verdict.detail))))
      if (verdict.kind === 'fail')
        written.push(...(await deps.write((writer) => deps.fail(writer, run, verdict.reason, undefined))))
      if (verdict.kind === 'fail') await deps.launcher.stop(name)
    }
    for (const project of await deps.projectsWaiting(graceSeconds)) {
      const launched = await launch(deps, project)
      written.push(...launched.written, ...(await deps.write(launched.write)))
    }
    return written
  }
}

/** Intent first, then the Job, then the record of it: at every arrow a crash leaves something that can be found by name. */
async function launch(deps: Deps, project: string) {
  const { intended, written } = await deps.intend(project)
  crashPoint('dispatcher.after-intent')
  const created: { intent: Intended; outcome: Created }[] = []
  for (const intent of intended) {
    created.push({ intent, outcome: await deps.launcher.create(intent.job) })
    crashPoint('dispatcher.after-create')
  }
  return {
    written,
    count: created.length,
    write: async (writer: Writer) => {
      for (const { intent, outcome } of created) {
        if (outcome.kind === 'refused') await deps.fail(writer, intent.run, 'job_refused', outcome.detail)
        else if (outcome.run !== intent.run.id)
          await deps.fail(writer, intent.run, 'job_name_conflict', intent.job.name)
        else await deps.confirm(writer, intent, outcome.uid)
      }
    },
  }
}

async function stopUnwanted(deps: Deps, runId?: string): Promise<void> {
  for (const name of await deps.unwanted(runId)) {
    await deps.launcher.stop(name)
    await deps.markGone(name)
  }
}
