import type { Row } from '#shared/db/schema.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import { MAX_ATTEMPTS } from '#shared/run/attempts.ts'
import { reasonOf } from '#shared/workflow/reasons.ts'
import { code } from './code.ts'
import type { Gate } from './decide.ts'
import { approval } from './render-approval.ts'

/** Where a run that waits stands, and for what. */
export interface Queue {
  /** Runs of the project that are before it. */
  readonly ahead: number
  /** Runs of the project that have a place to work, and how many may have one. */
  readonly active: number
  readonly maxActive: number
  /** Nothing starts in a repository that is not connected. */
  readonly connected: boolean
}

/** Everything the comment of a run shows. */
export interface Story {
  readonly run: Row<'runs'>
  readonly manifest: Manifest | undefined
  readonly change: Row<'changes'> | undefined
  /** Undefined when it does not wait for its turn. */
  readonly queue: Queue | undefined
  /** The number of its newest attempt; 0 before the first. */
  readonly attempt: number
  /** Why its attempt has no place to work yet; null: nobody said. */
  readonly held: string | null
  /** Undefined: nobody had to approve. */
  readonly gate: Gate | undefined
  /** Tokens charged so far. */
  readonly tokens: number
  /** The newest lines last. */
  readonly progress: readonly { readonly kind: string; readonly text: string }[]
}

/** By which the comment of a run is found again. */
export const marker = (runId: string) => `<!-- codex-k8s:run:${runId} -->`

const headlines: Record<Row<'runs'>['state'], string> = {
  refused: 'not started',
  waiting_approval: 'waits for an approval',
  queued: 'waits for its turn',
  starting: 'is starting',
  running: 'is at work',
  publishing: 'is done; the change is being checked',
  succeeded: 'is done',
  failed: 'failed',
  cancelled: 'was cancelled',
}

/** The service comment: a picture of the run as it is, always the whole of it. */
export function render({ run, manifest, change, queue, attempt, held, gate, tokens, progress }: Story): string {
  const reason = run.reason === null ? undefined : reasonOf(run.reason)
  const lines = [
    marker(run.id),
    `**\`${run.label}\` ${headlines[run.state]}**${queue === undefined ? '' : `: ${waiting(queue)}`}`,
  ]
  if (change?.pull_number != null)
    lines.push(`Pull request: #${change.pull_number} on \`${change.branch}\`. Review it like anybody's.`)
  const revise = manifest?.revise
  if (revise !== undefined)
    lines.push(
      `Goes on with #${revise.pull} at \`${revise.head.slice(0, 12)}\`, as the ${revise.asked.by} of ${run.requester_login} asks.`,
    )
  if (reason !== undefined)
    lines.push(
      `${reason.says}${run.detail === null ? '' : ` Details: ${code(run.detail, 500)}`}`,
      `**Next:** ${reason.next}`,
    )
  else if (held !== null && run.state === 'starting')
    lines.push(`It waits for a place to work and starts by itself. Details: ${code(held, 500)}`)
  else if (run.detail !== null)
    lines.push(`The agent was lost before it was done, so the run is tried again. Details: ${code(run.detail, 500)}`)
  else if (run.state === 'succeeded')
    lines.push(
      '**Next:** review the pull request; merge it, or request changes in a review: then a run goes on with it.',
    )
  if (gate !== undefined) lines.push(...approval(gate, run))
  if (progress.length > 0) lines.push(progress.map(({ kind, text }) => `- ${kind}: ${code(text, 200)}`).join('\n'))
  const facts = [`for @${run.requester_login}`]
  if (manifest !== undefined)
    facts.push(
      `model \`${manifest.model}\`, effort ${manifest.effort}`,
      `${tokens.toLocaleString('en')} of ${manifest.budget.tokens.toLocaleString('en')} tokens`,
    )
  if (attempt > 1) facts.push(`attempt ${attempt} of ${MAX_ATTEMPTS}`)
  facts.push(`run \`${run.id}\``)
  lines.push(`<sub>${facts.join(' · ')}</sub>`)
  return `${lines.join('\n\n')}\n`
}

function waiting({ ahead, active, maxActive, connected }: Queue): string {
  const place = ahead === 0 ? 'next in line' : `${ahead} ahead of it`
  if (!connected) return `${place}; the repository is not connected, so nothing starts.`
  const work = active === 1 ? '1 run is at work' : `${active} runs are at work`
  return `${place}; ${work} in this repository (at most ${maxActive}).`
}
