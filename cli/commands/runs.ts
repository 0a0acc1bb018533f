import { setTimeout as sleep } from 'node:timers/promises'
import { age } from '../age.ts'
import { describeRun } from '../describe-run.ts'
import { harmless } from '../harmless.ts'
import type { KnCommand } from '../kn-command.ts'
import {
  count,
  sessionOf,
  withList,
  withOutput,
  withWait,
  type LimitOption,
  type PrintOptions,
  type WaitOptions,
} from '../options.ts'
import { single, type Listing } from '../output.ts'
import { firstOf } from '../pages.ts'
import { printList } from '../print-list.ts'
import { projectIdOf } from '../project-of.ts'
import type { Answer, StaffApi } from '../staff-api.ts'
import type { Terminal } from '../terminal.ts'
import { waitFor } from '../wait.ts'

type Run = Answer<'listRuns'>['runs'][number]
type Lines = Answer<'getRunLogs'>

interface ListOptions extends PrintOptions, LimitOption {
  readonly project?: string
  readonly state?: Run['state']
  readonly stage?: string
  readonly issue?: number
}

/** Milliseconds between two looks for new lines, as the contract asks for. */
const FOLLOW_MS = 2_000

/** `kn codex runs`. */
export function runs(group: KnCommand, terminal: Terminal): void {
  withList(group.command('list'))
    .description('List runs, newest first')
    .option('--project <project>', 'of this project only: owner/name or id')
    .option('--state <state>', 'in this state only, such as queued, running or failed')
    .option('--stage <stage>', 'of this stage only, such as dev')
    .option('--issue <number>', 'of the issue or pull request with this number', count)
    .action(async (options: ListOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const project = await projectIdOf(staff, options.project)
      const found = await firstOf(options.limit, async (part) => {
        const { state, stage, issue: number } = options
        const { runs: items, next } = await staff('listRuns', { query: { project, state, stage, number, ...part } })
        return { items, next }
      })
      printList(terminal, options, found, runList(terminal.now()))
    })

  withOutput(group.command('describe'))
    .description('Show a run with its attempts, approval and events')
    .argument('<run>', 'id of the run')
    .action(async (run: string, options: PrintOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const details = await staff('getRun', { path: { run } })
      terminal.out(single(options.output, details, `run/${details.run.id}`, () => describeRun(details, terminal.now())))
    })

  group
    .command('logs')
    .description('Show what the agent said of its progress')
    .argument('<run>', 'id of the run')
    .option('-f, --follow', 'go on until the run is over')
    .option('--timestamps', 'begin each line with its time')
    .option('--attempt <number>', 'of this attempt only', count)
    .action(async (run: string, options: LogOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      await logs(staff, run, options, (text) => terminal.out(text))
    })

  withWait(group.command('cancel'), 'its agent has stopped')
    .description('Cancel a run, as if its label had been taken off')
    .argument('<run>', 'id of the run')
    .option('--reason <text>', 'why; kept in the ledger')
    .action(async (run: string, options: WaitOptions & { reason?: string }, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const { changed } = await staff('cancelRun', {
        path: { run },
        ...(options.reason !== undefined && { body: { reason: options.reason } }),
      })
      terminal.out(changed ? `Run '${run}' cancelled.\n` : `Run '${run}' was cancelled before.\n`)
      if (!options.wait) return
      await waitFor(`its agent has not stopped`, options.waitTimeout, async () => {
        const { attempts } = await staff('getRun', { path: { run } })
        return attempts.every(({ state }) => state !== 'intended' && state !== 'created') ? true : undefined
      })
      terminal.out(`Its agent has stopped.\n`)
    })

  withWait(withOutput(group.command('retry')), 'it has started')
    .description('Start a new run for a failed one, with the same input')
    .argument('<run>', 'id of the failed run')
    .action(async (run: string, options: WaitOptions & PrintOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const answer = await staff('retryRun', { path: { run } })
      const { id } = answer.run
      terminal.out(
        single(options.output, answer, `run/${id}`, () =>
          answer.changed ? `Run '${id}' made for '${run}'.\n` : `Run '${id}' was made for '${run}' before.\n`,
        ),
      )
      if (!options.wait || options.output !== undefined) return
      const state = await waitFor(`run '${id}' has not started`, options.waitTimeout, async () => {
        const now = (await staff('getRun', { path: { run: id } })).run.state
        return now === 'queued' || now === 'starting' ? undefined : now
      })
      terminal.out(state === 'waiting_approval' ? `It waits for an approval.\n` : `It is ${state}.\n`)
    })
}

const runList = (now: number): Listing<Run> => ({
  none: 'No runs found.',
  name: ({ id }) => `run/${id}`,
  columns: [
    { header: 'id', value: ({ id }) => id },
    { header: 'repository', value: ({ repository }) => repository },
    { header: 'issue', value: ({ number }) => number },
    { header: 'stage', value: ({ stage }) => stage },
    { header: 'state', value: ({ state }) => state },
    { header: 'reason', value: ({ reason }) => reason?.code },
    { header: 'age', value: ({ createdAt }) => age(createdAt, now) },
    { header: 'label', wide: true, value: ({ label }) => label },
    { header: 'requester', wide: true, value: ({ requester }) => requester.login },
    { header: 'pull request', wide: true, value: ({ change }) => change?.pull?.number },
    { header: 'retry of', wide: true, value: ({ retryOf }) => retryOf },
  ],
})

interface LogOptions {
  readonly follow?: true
  readonly timestamps?: true
  readonly attempt?: number
}

/** Prints the lines of a run; following ends when the run is over and nothing came any more. */
async function logs(staff: StaffApi, run: string, options: LogOptions, print: (text: string) => void): Promise<void> {
  let cursor: string | undefined
  for (;;) {
    const { lines, next, over }: Lines = await staff('getRunLogs', { path: { run }, query: { limit: 200, cursor } })
    for (const line of lines) {
      if (options.attempt !== undefined && line.attempt !== options.attempt) continue
      print(
        harmless(`${options.timestamps ? `${line.at} ` : ''}${line.kind}: ${line.text.replaceAll('\n', '\n  ')}`) +
          '\n',
      )
    }
    cursor = next
    if (lines.length > 0) continue
    if (!options.follow || over) return
    await sleep(FOLLOW_MS)
  }
}
