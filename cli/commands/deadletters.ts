import { age } from '../age.ts'
import { Failure } from '../failure.ts'
import type { KnCommand } from '../kn-command.ts'
import { sessionOf, withList, withOutput, type LimitOption, type PrintOptions } from '../options.ts'
import type { Listing } from '../output.ts'
import { firstOf } from '../pages.ts'
import { printList } from '../print-list.ts'
import { projectIdOf } from '../project-of.ts'
import { redriven } from '../redriven.ts'
import type { Answer, StaffApi } from '../staff-api.ts'
import type { Terminal } from '../terminal.ts'

type DeadLetter = Answer<'listDeadLetters'>['deadLetters'][number]
type Webhook = Answer<'listQuarantinedWebhooks'>['webhooks'][number]

interface Which {
  readonly project?: string
  readonly consumer?: DeadLetter['consumer']
}

/** Deliveries that one request may redrive. */
const BATCH = 100

/** `kn codex deadletters`. */
export function deadletters(group: KnCommand, terminal: Terminal): void {
  withList(group.command('list'))
    .description('List what was set aside: events that a consumer could not handle')
    .option('--project <project>', 'of this project only: owner/name or id')
    .option('--consumer <name>', 'at this function only')
    .action(async (options: PrintOptions & LimitOption & Which, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const found = await find(staff, options, options.limit)
      printList(terminal, options, found, deadLetterList(terminal.now()))
    })

  withOutput(group.command('redrive'))
    .description('Put dead letters back, once their cause is repaired')
    .argument('[event...]', 'ids of events')
    .option('--all', 'instead of ids: all that `list` shows with the same options')
    .option('--project <project>', 'with --all: of this project only')
    .option('--consumer <name>', 'at this function only')
    .action(async (ids: readonly string[], options: PrintOptions & Which & { all?: true }, command: KnCommand) => {
      if (ids.length > 0 === (options.all === true)) command.error('give ids of events, or --all')
      const staff = await sessionOf(command, terminal).staff()
      const { items } = await find(staff, options, 0)
      const wanted = items.filter(({ event }) => options.all === true || ids.includes(event))
      const missing = ids.filter((id) => !items.some(({ event }) => event === id))
      if (missing.length > 0)
        throw new Failure(`not a dead letter: ${missing.join(', ')}`, '`kn codex events show` says what became of it.')
      const answers = []
      for (let at = 0; at < wanted.length; at += BATCH) {
        const deliveries = wanted.slice(at, at + BATCH).map(({ event, consumer }) => ({ event, consumer }))
        answers.push(await staff('redriveDeadLetters', { body: { deliveries } }))
      }
      redriven(terminal, options.output, answers)
    })

  withList(group.command('webhooks'))
    .description('List authentic webhooks that could not be used; the forge can deliver them again')
    .option('--project <project>', 'of this project only: owner/name or id')
    .action(async (options: PrintOptions & LimitOption & Which, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const project = await projectIdOf(staff, options.project)
      const found = await firstOf(options.limit, async (part) => {
        const { webhooks: items, next } = await staff('listQuarantinedWebhooks', { query: { project, ...part } })
        return { items, next }
      })
      printList(terminal, options, found, webhookList(terminal.now()))
    })
}

async function find(staff: StaffApi, { project: meant, consumer }: Which, limit: number) {
  const project = await projectIdOf(staff, meant)
  return firstOf(limit, async (part) => {
    const { deadLetters: items, next } = await staff('listDeadLetters', { query: { project, consumer, ...part } })
    return { items, next }
  })
}

const deadLetterList = (now: number): Listing<DeadLetter> => ({
  none: 'No dead letters found.',
  name: ({ event }) => `event/${event}`,
  columns: [
    { header: 'event', value: ({ event }) => event },
    { header: 'consumer', value: ({ consumer }) => consumer },
    { header: 'type', value: ({ type }) => type },
    { header: 'why', value: ({ outcome }) => outcome },
    { header: 'age', value: ({ quarantinedAt }) => age(quarantinedAt, now) },
    { header: 'subject', wide: true, value: ({ subject }) => subject },
    { header: 'tries', wide: true, value: ({ attempts }) => attempts },
    { header: 'project', wide: true, value: ({ project }) => project },
  ],
})

const webhookList = (now: number): Listing<Webhook> => ({
  none: 'No quarantined webhooks found.',
  name: ({ id }) => `webhook/${id}`,
  columns: [
    { header: 'delivery', value: ({ deliveryId }) => deliveryId },
    { header: 'event', value: ({ name }) => name },
    { header: 'why', value: ({ reason }) => reason },
    { header: 'age', value: ({ receivedAt }) => age(receivedAt, now) },
    { header: 'hook', wide: true, value: ({ hook }) => hook },
    { header: 'project', wide: true, value: ({ project }) => project },
  ],
})
