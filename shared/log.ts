import pino from 'pino'

/** JSON lines on stdout; `function` is the folder, the Knative Service and the image. */
export type Log = pino.Logger

const LOG_LEVELS = ['silent', 'debug', 'info', 'warn', 'error'] as const

/** What a log line may never show, wherever an error object carries it. */
const redact = [
  'err.request',
  'err.response.headers',
  'err.config',
  'err.headers',
  'err.parameters',
  'err.detail',
  'err.where',
]

/** The logger of one function. Errors keep type, message and stack; requests, parameters and headers are cut off. */
export function createLog(name: string, level: (typeof LOG_LEVELS)[number], destination?: pino.DestinationStream): Log {
  const options: pino.LoggerOptions = {
    level,
    base: { function: name },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: redact, remove: true },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}
