import { Failure } from './failure.ts'
import { single, type Format } from './output.ts'
import type { Answer } from './staff-api.ts'
import { oneLine } from './harmless.ts'
import type { Terminal } from './terminal.ts'

type Redriven = Answer<'redriveEvent'>

/** Says what was put back and what was not; the latter is a failure of the command. */
export function redriven(terminal: Terminal, format: Format | undefined, answers: readonly Redriven[]): void {
  const done = answers.flatMap((answer) => answer.redriven)
  const left = answers.flatMap((answer) => answer.left)
  const line = (state: string, { event, consumer }: Redriven['left'][number]) =>
    oneLine(`${event} at ${consumer}: ${state}`)
  const lines = [
    ...done.map((one) => line('put back', one)),
    ...left.map((one) => line('not quarantined (any more), or not yours to redrive', one)),
  ]
  const names = [...new Set(done.map(({ event }) => `event/${event}`))].join('\n')
  terminal.out(
    single(format, { redriven: done, left }, names, () =>
      lines.length === 0 ? 'Nothing is quarantined.\n' : `${lines.join('\n')}\n`,
    ),
  )
  if (left.length > 0) throw new Failure(`${left.length} of ${done.length + left.length} deliveries were not put back`)
}
