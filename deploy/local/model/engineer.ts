import type { Step } from './history.ts'

/** What the model does next. */
export type Move =
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'patch'; readonly patch: string }
  | { readonly kind: 'message'; readonly text: string }

/** A mistake that the scripted model can recognise in a line it read, and how the line reads without it. */
interface Mistake {
  readonly line: RegExp
  readonly fix: (line: string) => string
  readonly why: string
}

const mistakes: readonly Mistake[] = [
  {
    line: /Math\.(?:trunc|floor)\([^()]*\* ?100\)/,
    fix: (line) => line.replace(/Math\.(?:trunc|floor)\(/, 'Math.round('),
    why: 'A decimal price times 100 is often a fraction below the whole number of cents (19.99 * 100 is 1998.9999999999998), and cutting the fraction off loses a cent. Rounding keeps each cent that was typed.',
  },
]

const lookAround = 'cat ../task/issue.md && echo "== files" && git ls-files'
const tests = 'node --test'

interface Finding {
  readonly path: string
  readonly lines: readonly string[]
  readonly index: number
  readonly mistake: Mistake
}

/**
 * A competent engineer without imagination: reads the task, the source and the tests' output, corrects the line that
 * shows a mistake it knows, runs the tests again and reports. Each move follows from what the earlier ones returned.
 */
export function nextMove(steps: readonly Step[]): Move {
  const [look, read] = steps
  if (look === undefined) return { kind: 'command', command: lookAround }
  const sources = sourceFiles(look.output)
  if (read === undefined) {
    return { kind: 'command', command: `tail -v -n +1 ${sources.join(' ')}; ${tests}` }
  }
  const finding = findMistake(read.output, sources)
  const patched = steps.findIndex(({ tool }) => tool === 'apply_patch')
  if (finding === undefined) return report(look, read, undefined)
  if (patched === -1) return { kind: 'patch', patch: patchOf(finding) }
  const after = steps[patched + 1]
  if (after === undefined) return { kind: 'command', command: tests }
  return report(look, after, finding)
}

function sourceFiles(listing: string): string[] {
  const files = (listing.split('== files\n')[1] ?? '').split('\n')
  return files.filter((path) => /^\w[\w./-]*\.(?:c|m)?(?:j|t)s$/.test(path) && !/(?:^|\/)tests?\/|\.test\./.test(path))
}

function findMistake(output: string, sources: readonly string[]): Finding | undefined {
  // `tail -v` puts a line with the name before each file, and the tests' output is behind the last.
  const [, ...parts] = output.split(/^==> (\S+) <==\n/m)
  for (let at = 0; at < parts.length; at += 2) {
    const path = parts[at] ?? ''
    const lines = (parts[at + 1] ?? '').split('\n')
    if (!sources.includes(path)) continue
    for (const mistake of mistakes) {
      const index = lines.findIndex((line) => mistake.line.test(line))
      if (index !== -1) return { path, lines, index, mistake }
    }
  }
  return undefined
}

function patchOf({ path, lines, index, mistake }: Finding): string {
  const wrong = lines[index] ?? ''
  const context = (from: number, to: number): string[] => lines.slice(Math.max(from, 0), to).map((line) => ` ${line}`)
  const hunk = [...context(index - 2, index), `-${wrong}`, `+${mistake.fix(wrong)}`, ...context(index + 1, index + 2)]
  return ['*** Begin Patch', `*** Update File: ${path}`, '@@', ...hunk, '*** End Patch', ''].join('\n')
}

function report(look: Step, run: Step, finding: Finding | undefined): Move {
  const title = /^## Title\n\n> (.+)$/m.exec(look.output)?.[1] ?? 'the issue'
  const green = run.exitCode === 0
  const outcome = green ? 'all tests pass' : 'tests still fail'
  const message = {
    title: finding === undefined ? `No fix found: ${title}`.slice(0, 200) : `Fix: ${title}`.slice(0, 200),
    summary:
      finding === undefined
        ? 'I read the source and found no mistake that I know how to correct, so nothing is changed.'
        : `${finding.mistake.why}\n\nChanged \`${finding.path}\`: \`${(finding.lines[finding.index] ?? '').trim()}\` is now \`${finding.mistake.fix(finding.lines[finding.index] ?? '').trim()}\`.${green ? '' : ` That is not enough: ${outcome}.`}`,
    tests: `\`${tests}\`: ${outcome}.`,
  }
  return { kind: 'message', text: JSON.stringify(message) }
}
