import type { Finding } from './checks.ts'
import type { Planned } from './plan.ts'

/** What a person reads. One line for each step and object, times at the end of a step. */
export interface Output {
  line(text: string): void
  findings(findings: readonly Finding[]): void
  planned(planned: readonly Planned[]): void
  /** Says what is done, does it, and says how long it took. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>
}

/** Writes to stdout, for a terminal or a file: no colours, no moving parts. */
export function output(write: (text: string) => void = (text) => void process.stdout.write(text)): Output {
  const line = (text: string) => write(`${printable(text)}\n`)
  const marks = { ok: '  ok  ', told: 'note  ', fails: 'FAILS ' } as const
  return {
    line,
    findings(findings) {
      for (const { level, what, mend } of findings) {
        line(`${marks[level]}${what}`)
        if (mend !== undefined) line(`        ${mend}`)
      }
    },
    planned(planned) {
      for (const { name, change, differs } of planned)
        line(`  ${name} ${change}${change === 'changed' && differs.length > 0 ? `: ${differs.join(', ')}` : ''}`)
    },
    async step(name, work) {
      line(`${name} ...`)
      const since = performance.now()
      const result = await work()
      line(`${name}: done (${((performance.now() - since) / 1000).toFixed(1)} s)`)
      return result
    },
  }
}

/** What a cluster or a forge says goes to a terminal: no control characters, and nothing that looks like a password in a URL. */
export function printable(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex -- they are what is removed
      .replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, ' ')
      .replaceAll(/(:\/\/[^\s:/@]*):[^\s@/]+@/g, '$1:***@')
  )
}
