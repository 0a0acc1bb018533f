import * as v from 'valibot'
import { crashPoint } from '#shared/crash-point.ts'
import type { Row } from '#shared/db/schema.ts'
import { sha256 } from '#shared/digest.ts'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import { RunEvent } from '#shared/events/types.ts'
import type { Handler } from '#shared/outbox/deliver.ts'
import { renamesIn } from '#shared/workflow/labels.ts'
import { reasonOf, type ReasonCode } from '#shared/workflow/reasons.ts'
import { oneByOne } from '#shared/one-by-one.ts'
import { elsewhere, isOver, labelChange, pendingDigest, usedLabels } from './decide.ts'
import { marker, render, type Story } from './render.ts'

/** A comment that is ours to write for the moment. */
export interface Lease {
  readonly id: string
  readonly commentId: string | null
  readonly shown: string | null
  /** Whether it was edited a moment ago. */
  readonly fresh: boolean
  /** Events seen when the lease was read. */
  readonly wanted: number
  /** Outbox rows that were committed under it. */
  readonly written: string[]
}

/** A run's story and where its comment and labels are. */
export interface Told extends Story {
  readonly project: Row<'projects'>
  readonly newerActive: boolean
}

/** Since when a comment shows its text, by the forge's clock. */
export interface Shown {
  readonly shownAt: string
}

/** What the forge does for us, for one repository. */
export interface Forge {
  /** Whether the repository of this name is still the one that was connected. */
  isThere(): Promise<boolean>
  /** Our own comments with the marker, oldest first. */
  find(number: number, marker: string): Promise<readonly string[]>
  /** Undefined: the subject is gone. */
  create(number: number, body: string): Promise<({ readonly id: string } & Shown) | undefined>
  /** Undefined: the comment is gone. */
  edit(id: string, body: string): Promise<Shown | undefined>
  remove(id: string): Promise<void>
  changeLabels(number: number, change: { remove: readonly string[]; add: readonly string[] }): Promise<void>
}

/** What this function needs from the world, and nothing more. */
export interface Deps {
  told(runId: string): Promise<Told | undefined>
  forge(project: Row<'projects'>): Forge
  /** One more event is to be shown; the lease, if nobody else has it. */
  lease(runId: string, event: boolean): Promise<Lease | undefined>
  /** Commits that a comment is about to be created. */
  intend(run: Row<'runs'>, lease: Lease): Promise<void>
  /** Keeps what the comment shows, and since when it shows the digest that waits for an approval, if one does. */
  record(
    run: Row<'runs'>,
    lease: Lease,
    commentId: string,
    shown: string,
    approval: Shown & { digest: string | undefined },
  ): Promise<void>
  /** False: more events came meanwhile, the lease is still ours. */
  release(runId: string, lease: Lease, settled: boolean): Promise<boolean>
  /** Runs whose comment is behind and that nobody is writing. */
  behind(): Promise<readonly string[]>
}

/** Every event of a run is one reason to bring its comment up to date; what the comment shows is the state, not the event. */
export function statusReporter(deps: Deps): Handler {
  return (event: Delivered) => show(deps, v.parse(RunEvent, event.data).run, true)
}

/** Comments that fell behind: a crash, a forge that was away, an edit that was too soon. */
export function sweepReporter(deps: Deps): () => Promise<readonly string[]> {
  return async () => {
    const written: string[] = []
    await oneByOne(await deps.behind(), async (runId) => void written.push(...(await show(deps, runId, false)).written))
    return written
  }
}

async function show(deps: Deps, runId: string, event: boolean) {
  const written: string[] = []
  for (;;) {
    const lease = await deps.lease(runId, event)
    if (lease === undefined) return { outcome: 'another is writing the comment', written }
    const settled = await tell(deps, runId, lease).catch(async (error: unknown) => {
      // What can never be written is not looked at again and again: the event that asked for it is quarantined.
      await deps.release(runId, lease, error instanceof PermanentError)
      throw error
    })
    written.push(...lease.written)
    if (!settled) {
      await deps.release(runId, lease, false)
      return { outcome: 'shown a moment ago; the next look shows it', written }
    }
    if (await deps.release(runId, lease, true)) return { outcome: 'shown', written }
    event = false
  }
}

async function tell(deps: Deps, runId: string, lease: Lease): Promise<boolean> {
  const told = await deps.told(runId)
  if (told === undefined) throw new RetryLater(`run ${runId} is not visible yet`)
  return write(deps, told, lease)
}

/** Nobody is there to read it, and the name of the repository may be somebody else's by now. */
const unreachable: readonly (string | null)[] = ['subject_gone', 'repository_gone'] satisfies ReasonCode[]

async function write(deps: Deps, told: Told, lease: Lease): Promise<boolean> {
  const { run, project } = told
  if (unreachable.includes(run.reason)) return true
  const body = render(told)
  // A label that was judged has to go, also where the text does not change.
  const shown = sha256([body, ...(told.gate?.decisions ?? []).map(({ key }) => key)].join('\n'))
  // Labels were changed before this was shown: a label that a person has set again since stays.
  if (lease.commentId !== null && lease.shown === shown) return true
  if (lease.fresh && !isOver(run)) return false

  const forge = deps.forge(project)
  if (!(await forge.isThere())) return true
  const renames = renamesIn(project.settings)
  const [label, inReview] = [run.label, 'state:in-review'].map((name) => renames[name] ?? name)
  const change = labelChange(run, label ?? '', inReview ?? '', told.newerActive)
  const used = usedLabels(told.gate).map((name) => renames[name] ?? name)
  await forge.changeLabels(run.subject_number, { ...change, remove: [...change.remove, ...used] })
  for (const other of elsewhere(run, told.manifest?.revise, told.newerActive)) {
    const own = (names: readonly string[]) => names.map((name) => renames[name] ?? name)
    await forge.changeLabels(other.on, { remove: own(other.remove), add: own(other.add) })
  }
  const silent = run.reason !== null && reasonOf(run.reason).silent === true
  if (silent && lease.commentId === null) return true
  await comment(deps, forge, told, lease, body, shown)
  return true
}

/** One comment per run whatever happens: the intent, a look for the marker, then the comment, then its id. */
async function comment(deps: Deps, forge: Forge, { run, gate }: Told, lease: Lease, body: string, shown: string) {
  const known = lease.commentId
  const record = (id: string, { shownAt }: Shown) =>
    deps.record(run, lease, id, shown, { shownAt, digest: pendingDigest(gate) })
  const edited = known === null ? undefined : await forge.edit(known, body)
  if (known !== null && edited !== undefined) {
    await record(known, edited)
    // The last time anybody looks: what a reporter wrote that had lost its lease goes now.
    const all = isOver(run) ? await forge.find(run.subject_number, marker(run.id)) : []
    for (const other of all.filter((id) => id !== known)) await forge.remove(other)
    return
  }
  await deps.intend(run, lease)
  const [oldest, ...others] = await forge.find(run.subject_number, marker(run.id))
  for (const other of others) await forge.remove(other)
  const adopted = oldest === undefined ? undefined : await forge.edit(oldest, body)
  crashPoint('reporter.before-create')
  const made =
    oldest !== undefined && adopted !== undefined
      ? { id: oldest, ...adopted }
      : await forge.create(run.subject_number, body)
  crashPoint('reporter.after-create')
  if (made !== undefined) await record(made.id, made)
}
