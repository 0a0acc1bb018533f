import { InvalidArgumentError } from 'commander'
import type { KnCommand } from './kn-command.ts'
import { parseFormat, type Format } from './output.ts'
import { session, type GlobalOptions, type Session } from './session.ts'
import type { Terminal } from './terminal.ts'

/** What `-o` and its like come to. */
export interface PrintOptions {
  readonly output?: Format
  readonly headers: boolean
}

/** How many of a list. */
export interface LimitOption {
  readonly limit: number
}

/** Whether to wait for what was asked for to have happened, and how long, seconds. */
export interface WaitOptions {
  readonly wait: boolean
  readonly waitTimeout: number
}

/** Options that every command takes, with kn's names. */
export function withGlobals(command: KnCommand): KnCommand {
  return command
    .option('-n, --namespace <namespace>', 'where codex-k8s is installed', 'codex-k8s')
    .option('--kubeconfig <file>', 'kubectl configuration file (default: KUBECONFIG, then ~/.kube/config)')
    .option('--context <name>', 'name of the kubeconfig context to use')
    .option('--server <url>', 'address of staff-api; default: through the cluster with your kubeconfig')
    .option(
      '--as-service-account <name>',
      'ask the cluster for a token of this service account ([namespace/]name) and use it',
    )
    .option('--log-http', 'say on stderr what is asked and answered, without tokens')
}

/** `-o` of a command that shows one thing. */
export function withOutput(command: KnCommand): KnCommand {
  return command.option('-o, --output <format>', 'one of json|yaml|wide|name|jsonpath=TEMPLATE', format)
}

/** Options of a command that shows a list. */
export function withList(command: KnCommand): KnCommand {
  return withOutput(command)
    .option('--no-headers', 'leave out the headers of the table')
    .option('--limit <number>', 'show at most this many, newest first; 0: all', count, 50)
}

/** `--wait` and its like. */
export function withWait(command: KnCommand, what: string): KnCommand {
  return command
    .option('--wait', `wait until ${what}`, true)
    .option('--no-wait', 'do not wait')
    .option('--wait-timeout <seconds>', 'how long to wait', seconds, 600)
}

/** The session of a command, with the options that were given to it or above it. */
export function sessionOf(command: KnCommand, terminal: Terminal): Session {
  return session(command.optsWithGlobals<GlobalOptions>(), terminal)
}

function format(text: string): Format {
  try {
    return parseFormat(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

/** A whole number, not below 0. */
export function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It has to be a whole number.')
  return Number(text)
}

/** Seconds: `30` or, as kn writes them, `30s` or `5m`. */
export function seconds(text: string): number {
  const [, number, unit] = /^(\d{1,6})(s|m|h)?$/.exec(text) ?? []
  if (number === undefined) throw new InvalidArgumentError('It has to be seconds, such as 30, 30s or 5m.')
  return Number(number) * { s: 1, m: 60, h: 3_600 }[unit ?? 's']!
}
