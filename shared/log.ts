import pino from 'pino'
import { findTokens } from '#shared/secret-scan/patterns.ts'
import { currentTrace, traceIdOf } from '#shared/telemetry/trace.ts'

/** JSON lines on stdout; `function` is the folder, the Knative Service and the image. */
export type Log = pino.Logger

const LOG_LEVELS = ['silent', 'debug', 'info', 'warn', 'error'] as const

/** Causes of causes that are followed. */
const MAX_CAUSES = 5

/** Longest message that is kept, characters. */
const MAX_MESSAGE = 1_000

/** The logger of one function. Of an error only what `errorFacts` names gets in. */
export function createLog(name: string, level: (typeof LOG_LEVELS)[number], destination?: pino.DestinationStream): Log {
  const options: pino.LoggerOptions = {
    level,
    base: { function: name },
    timestamp: pino.stdTimeFunctions.isoTime,
    // From a line to its trace.
    mixin() {
      const trace = currentTrace()
      return trace === undefined ? {} : { trace: traceIdOf(trace) }
    },
    serializers: { err: (error: unknown) => errorFacts(error) },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

/**
 * What a log line keeps of an error: what it is, what it says, where it was thrown, and the same of its causes. Libraries
 * hang requests with their headers, statements with their parameters and whole responses on errors, so what is kept is
 * named here, and nothing else is. A message that looks as if it held a secret is withheld.
 */
function errorFacts(error: unknown, depth = 0): object {
  if (!(error instanceof Error))
    return { type: typeof error, ...(typeof error === 'string' && { message: words(error) }) }
  const { code, status, constraint } = error as { code?: unknown; status?: unknown; constraint?: unknown }
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line))
  return {
    type: error.name,
    message: words(error.message),
    ...short({ code, status, constraint }),
    stack: frames?.slice(0, 12).join('\n'),
    ...(error.cause !== undefined && depth < MAX_CAUSES && { cause: errorFacts(error.cause, depth + 1) }),
  }
}

function words(message: string): string {
  const found = findTokens(Buffer.from(message).toString('latin1'))
  return found.length === 0 ? message.slice(0, MAX_MESSAGE) : '(withheld: it looks like a secret)'
}

/** Numbers and plain words: codes of libraries, names of constraints. */
function short(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const plain = (value: unknown) =>
    typeof value === 'number' || (typeof value === 'string' && /^[\w.-]{1,100}$/.test(value))
  return Object.fromEntries(Object.entries(values).filter(([, value]) => plain(value)))
}
