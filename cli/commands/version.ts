import packageJson from '../../package.json' with { type: 'json' }
import type { KnCommand } from '../kn-command.ts'
import { withOutput, type PrintOptions } from '../options.ts'
import { single } from '../output.ts'
import { fields } from '../table.ts'
import type { Terminal } from '../terminal.ts'

/** `kn codex version`: of this tool; it asks nobody. */
export function version(command: KnCommand, terminal: Terminal): void {
  withOutput(command)
    .description('Show the version of this tool')
    .action(({ output }: PrintOptions) => {
      const answer = { version: packageJson.version, api: 'v1', node: process.version }
      terminal.out(
        single(output, answer, `version/${answer.version}`, () =>
          fields([
            ['Version', answer.version],
            ['Staff API', answer.api],
            ['Node', answer.node],
          ]),
        ),
      )
    })
}
