import { CommanderError } from 'commander'
import { Failure, UsageError } from './failure.ts'
import { program } from './program.ts'
import type { Terminal } from './terminal.ts'

/** Runs a command line, without the words `kn codex`; its exit code. Errors are said as kn says them. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await program(terminal).parseAsync(args, { from: 'user' })
    return 0
  } catch (error) {
    // Help that was asked for, and printed.
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    terminal.note(`Error: ${messageOf(error)}`)
    if (error instanceof Failure && error.next !== undefined && error.next !== '') terminal.note(error.next)
    if (error instanceof UsageError) terminal.note(`Run '${error.command} --help' for usage`)
    return 1
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Failure || error instanceof UsageError) return error.message
  // An answer of another shape than the contract's: from another version, or not from staff-api at all.
  if (error instanceof TypeError)
    return `the answer is not one that this version understands (${error.message}). Is kn-codex as new as the installation?`
  return error instanceof Error ? error.message : String(error)
}
