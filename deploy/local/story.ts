import { EVENT_TYPES } from '#shared/events/types.ts'

/** Shows what the functions do, as it happens, from their own log lines. */
export interface Story {
  /** Where the functions log to. */
  readonly logTo: { write(line: string): void }
  /** Lines of ours, with the time since the label. */
  say(line: string): void
  /** From here on the clock runs. */
  begin(): void
}

const short = new Map(
  Object.entries(EVENT_TYPES).map(([, type]) => [
    type as string,
    type.replace('dev.codex-k8s.', '').replace('.v1', ''),
  ]),
)

interface LogLine {
  readonly level: number
  readonly function: string
  readonly msg: string
  readonly eventType?: string
  readonly outcome?: string
  readonly kind?: string
  readonly event?: string
  readonly err?: { readonly message?: string }
}

/** A story told to `print`; `verbose` shows the log lines themselves. */
export function tellStory(print: (line: string) => void, verbose: boolean): Story {
  let began: number | undefined
  const say = (who: string, what: string) => {
    const time = began === undefined ? '' : `${((performance.now() - began) / 1000).toFixed(2)} s`
    print(`${time.padStart(8)}  ${who.padEnd(17)} ${what}`)
  }
  return {
    logTo: {
      write(text) {
        for (const line of text.trimEnd().split('\n')) {
          if (verbose) print(line)
          else show(line, say)
        }
      },
    },
    say: (line) => say('', line),
    begin: () => (began = performance.now()),
  }
}

function show(line: string, say: (who: string, what: string) => void): void {
  if (!line.startsWith('{')) return say('', line)
  const entry = JSON.parse(line) as LogLine
  const { function: who, msg, eventType = '', outcome = '', err } = entry
  if (entry.level >= 40) return say(who, `${msg}${err?.message === undefined ? '' : `: ${err.message}`}`)
  if (msg === 'delivery stored') return say(who, `${entry.event} verified and stored`)
  if (msg === 'progress') return say(who, `the agent says: ${entry.kind}`)
  if (msg === 'result') return say(who, `the agent's result is ${outcome}`)
  // The ledger has every event; a line for each would hide the others.
  if (msg === 'event settled' && who !== 'audit-sink' && !outcome.startsWith('shown a moment ago')) {
    say(who, `${short.get(eventType) ?? eventType.replace('com.github.', '')}: ${outcome}`)
  }
}
