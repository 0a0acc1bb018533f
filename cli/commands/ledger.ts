import { Failure } from '../failure.ts'
import type { KnCommand } from '../kn-command.ts'
import { sessionOf, withOutput, type PrintOptions } from '../options.ts'
import { single } from '../output.ts'
import type { Terminal } from '../terminal.ts'

/** `kn codex ledger`. */
export function ledger(group: KnCommand, terminal: Terminal): void {
  withOutput(group.command('head'))
    .description('Show the head of the ledger, to be written down elsewhere')
    .action(async (options: PrintOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const answer = await staff('getLedger')
      if (options.output === undefined && answer.behind > 0) terminal.note(`${answer.behind} events are not in it yet.`)
      terminal.out(single(options.output, answer, `ledger/${answer.head}`, () => `${answer.head}\n`))
    })

  group
    .command('verify')
    .description('Check every link of the ledger; ends with its head')
    .option('--after <seq:hash>', 'begin after this entry, which you wrote down: it has to be there')
    .action(async ({ after }: { after?: string }, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      for (let head = after; ;) {
        const { ok, more, problem, head: reached } = await staff('verifyLedger', { query: { after: head } })
        if (!ok)
          throw new Failure(
            `the ledger does not hold${problem === null ? '' : `: entry ${problem.seq} ${problem.says}`}`,
            'Change nothing. Keep a copy of the database, and check it with `npm run audit:verify`: docs/operate.md.',
          )
        if (!more) return terminal.out(`The ledger holds; its head is\n${reached}\n`)
        if (reached === head) throw new Failure('staff-api does not get on with the ledger')
        head = reached
      }
    })
}
