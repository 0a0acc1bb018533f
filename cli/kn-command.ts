import { Command } from 'commander'
import { UsageError } from './failure.ts'

/** A command that fails as kn's do: an error that says what is wrong, and whose help says what would be right. */
export class KnCommand extends Command {
  override createCommand(name?: string): KnCommand {
    return new KnCommand(name)
  }

  /** Every mistake that commander finds in a command line comes by here. */
  override error(message: string): never {
    throw new UsageError(message.replace(/^error: /, ''), pathOf(this))
  }

  /** Makes it a group: without a known sub-command it says which there are. */
  asGroup(): this {
    return this.argument('[command]', undefined)
      .allowExcessArguments()
      .allowUnknownOption()
      .usage('COMMAND')
      .action((given: string | undefined) => {
        const path = pathOf(this)
        const wrong =
          given === undefined ? `no sub-command given for '${path}'` : `unknown sub-command '${given}' for '${path}'`
        this.error(
          `${wrong}. Available sub-commands: ${this.createHelp()
            .visibleCommands(this)
            .map((command) => command.name())
            .join(', ')}`,
        )
      })
  }
}

/** The words that call a command: `kn codex runs list`. */
function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}
