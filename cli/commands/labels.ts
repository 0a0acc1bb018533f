import { oneLine } from '../harmless.ts'
import type { KnCommand } from '../kn-command.ts'
import { sessionOf, withOutput, type PrintOptions } from '../options.ts'
import { single } from '../output.ts'
import { projectOf } from '../project-of.ts'
import type { Terminal } from '../terminal.ts'

/** `kn codex labels`. */
export function labels(group: KnCommand, terminal: Terminal): void {
  withOutput(group.command('sync'))
    .description('Create the labels that a repository lacks, and repair colours and descriptions')
    .argument('<project>', 'owner/name or id')
    .action(async (meant: string, options: PrintOptions, command: KnCommand) => {
      const staff = await sessionOf(command, terminal).staff()
      const { id, repository } = await projectOf(staff, meant)
      const answer = await staff('syncLabels', { path: { project: id } })
      terminal.out(
        single(options.output, answer, `project/${id}`, () => {
          const { created, repaired, unchanged } = answer
          const done = [...created.map((name) => `created ${name}`), ...repaired.map((name) => `repaired ${name}`)]
          return `${[...done.map(oneLine), `${repository}: ${created.length} created, ${repaired.length} repaired, ${unchanged} as they were.`].join('\n')}\n`
        }),
      )
    })
}
