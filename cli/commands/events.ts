import { age } from '../age.ts'
import { harmlessInQuotes } from '../harmless.ts'
import type { KnCommand } from '../kn-command.ts'
import { sessionOf, withList, withOutput, type LimitOption, type PrintOptions } from '../options.ts'
import { single, type Listing } from '../output.ts'
import { firstOf } from '../pages.ts'
import { printList } from '../print-list.ts'
import { projectIdOf } from '../project-of.ts'
import { redriven } from '../redriven.ts'
import type { Answer } from '../staff-api.ts'
import { fields, table } from '../table.ts'
import type { Terminal } from '../terminal.ts'

type Event = Answer<'listEvents'>['events'][number]
type Details = Answer<'getEvent'>

interface ListOptions extends PrintOptions, LimitOption {
  readonly project?: string
  readonly run?: string
  readonly type?: string
}

/** `kn codex events`. */
export function events(group: KnCommand, terminal: Terminal): void {
  withList(group.command('list'))
    .description('List events, newest first')
    .option('--project <project>', 'of this project only: owner/name or id')
    .option('--run <run>', 'about this run only')
    .option('--type <type>', 'of this CloudEvents type only')
    .action(async (options: ListOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const project = await projectIdOf(staff, options.project)
      const found = await firstOf(options.limit, async (part) => {
        const { run, type } = options
        const { events: items, next } = await staff('listEvents', { query: { project, run, type, ...part } })
        return { items, next }
      })
      printList(terminal, options, found, eventList(terminal.now()))
    })

  withOutput(group.command('show'))
    .description('Show an event, what became of it, and its place in the ledger')
    .argument('<event>', 'id of the event')
    .action(async (event: string, options: PrintOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const details = await staff('getEvent', { path: { event } })
      terminal.out(
        single(options.output, details, `event/${details.event.id}`, () => describe(details, terminal.now())),
      )
    })

  withOutput(group.command('redrive'))
    .description('Put every quarantined delivery of events back, once their cause is repaired')
    .argument('<event...>', 'ids of events')
    .action(async (ids: readonly string[], options: PrintOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const answers = []
      for (const event of ids) answers.push(await staff('redriveEvent', { path: { event } }))
      redriven(terminal, options.output, answers)
    })
}

const eventList = (now: number): Listing<Event> => ({
  none: 'No events found.',
  name: ({ id }) => `event/${id}`,
  columns: [
    { header: 'id', value: ({ id }) => id },
    { header: 'type', value: ({ type }) => type },
    { header: 'subject', value: ({ subject }) => subject },
    { header: 'state', value: stateOf },
    { header: 'age', value: ({ createdAt }) => age(createdAt, now) },
    { header: 'seq', wide: true, value: ({ seq }) => seq },
    { header: 'from', wide: true, value: ({ producer }) => producer },
    { header: 'at the broker', wide: true, value: ({ sent }) => (sent ? 'yes' : 'no') },
  ],
})

/** The worst that became of it at any consumer. */
function stateOf({ deliveries: { done, pending, quarantined } }: Event): string {
  if (quarantined > 0) return `quarantined (${quarantined})`
  if (pending > 0) return `pending (${pending})`
  return done > 0 ? 'done' : 'nobody'
}

function describe({ event, source, eventId, extensions, data, deliveries, ledger }: Details, now: number): string {
  return [
    fields([
      ['Event', event.id],
      ['Type', event.type],
      ['Subject', event.subject],
      ['Source', source],
      ['CloudEvents id', eventId],
      ['From', event.producer],
      ['Age', age(event.createdAt, now)],
      ['At the broker', event.sent ? 'yes' : 'no'],
      ['Ledger', ledger === null ? 'not yet' : `${ledger.seq}:${ledger.hash}`],
      ...Object.entries(extensions).map(([name, value]) => [`Extension ${name}`, value] as const),
      ['Data', data === null || data === undefined ? null : harmlessInQuotes(JSON.stringify(data), 'json')],
    ]),
    table(deliveries, [
      { header: 'consumer', value: ({ consumer }) => consumer },
      { header: 'state', value: ({ state }) => state },
      { header: 'tries', value: ({ attempts }) => attempts },
      { header: 'settled', value: ({ settledAt }) => settledAt && age(settledAt, now) },
      { header: 'outcome', value: ({ outcome, error }) => outcome ?? (error && JSON.stringify(error)) },
    ]),
  ].join('\n')
}
