import { clusterChecks } from '../cluster-checks.ts'
import { Failure } from '../failure.ts'
import { oneLine } from '../harmless.ts'
import type { KnCommand } from '../kn-command.ts'
import { sessionOf, withOutput, type PrintOptions } from '../options.ts'
import { listing } from '../output.ts'
import { ping, type Check } from '../ping.ts'
import { projectOf } from '../project-of.ts'
import type { Session } from '../session.ts'
import type { Terminal } from '../terminal.ts'

interface Options extends PrintOptions {
  readonly ping?: string
}

/** Seconds that a ping may take: four cold starts and a broker. */
const PING_SECONDS = 60

/** `kn codex doctor`. */
export function doctor(command: KnCommand, terminal: Terminal): void {
  withOutput(command)
    .description('Check everything that has to work, and say what to do about what does not')
    .option('--no-headers', 'leave out the headers of the table')
    .option('--ping <project>', 'also have the forge send a signed ping for this project, and follow it to the ledger')
    .action(async (options: Options, own: KnCommand) => {
      const session = sessionOf(own, terminal)
      const items = [
        ...(await clusterChecks(session.cluster(), session.namespace)),
        ...(await staffChecks(session, options)),
      ]
      terminal.out(
        listing(
          options.output,
          options.headers,
          { items },
          {
            none: 'Nothing was checked.',
            name: ({ name }) => `check/${name}`,
            columns: [
              { header: 'check', value: ({ name }) => name },
              { header: 'status', value: ({ status }) => status },
              { header: 'says', value: ({ says }) => says },
            ],
          },
        ),
      )
      if (options.output === undefined || options.output.kind === 'wide') terminal.out(mends(items))
      const failed = items.filter(({ status }) => status === 'failed')
      if (failed.length > 0) throw new Failure(`${failed.length} of ${items.length} checks failed`)
    })
}

/** What staff-api says about the rest. That it cannot be asked is a finding, too. */
async function staffChecks(session: Session, options: Options): Promise<Check[]> {
  try {
    const staff = await session.staff()
    const { user } = await staff('whoami')
    const checks: Check[] = [{ name: 'staff-api', status: 'ok', says: `answers; you are ${user}`, next: null }]
    checks.push(...(await staff('getChecks')).checks)
    if (options.ping !== undefined)
      checks.push(await ping(staff, (await projectOf(staff, options.ping)).id, PING_SECONDS))
    return checks
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return [{ name: 'staff-api', status: 'failed', says: error.message, next: error.next ?? null }]
  }
}

function mends(checks: readonly Check[]): string {
  const lines = checks.flatMap(({ name, next }) => (next === null ? [] : [`  ${name}: ${oneLine(next)}`]))
  return lines.length === 0 ? '' : `\nWhat to do:\n${lines.join('\n')}\n`
}
