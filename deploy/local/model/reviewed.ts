import type { Move } from './engineer.ts'
import type { Step } from './history.ts'

/** A remark of a reviewer that the scripted model understands, and what it does about it. */
interface Remark {
  readonly asks: RegExp
  /** The line that has to change. */
  readonly line: RegExp
  readonly change: (line: string) => readonly string[]
  readonly test: (name: string) => readonly string[]
  readonly title: string
  readonly why: string
}

const remarks: readonly Remark[] = [
  {
    asks: /more than two decimals/i,
    line: /^\s*return Math\.round\(\w+ \* 100\)$/,
    change(line) {
      const [, indent = '', price = ''] = /^(\s*)return Math\.round\((\w+)/.exec(line) ?? []
      return [
        `${indent}const cents = Math.round(${price} * 100)`,
        `${indent}if (Math.abs(${price} * 100 - cents) > 1e-6) throw new TypeError(\`more than two decimals: \${${price}}\`)`,
        `${indent}return cents`,
      ]
    },
    test: (name) => [
      "test('a price with more than two decimals is refused', () => {",
      `  assert.throws(() => ${name}(19.999), TypeError)`,
      '})',
      '',
    ],
    title: 'Refuse prices with more than two decimals',
    why: 'Rounding hid a typing mistake: 19.999 became 20.00 without a word. It is refused now, as what is no number is, and a test holds that.',
  },
]

const lookAround = 'cat ../task/review.md && echo "== files" && git ls-files'
const tests = 'node --test'

/** The same engineer when somebody has reviewed the change: does what a remark it understands asks for, where it was said. */
export function moveAfterReview(steps: readonly Step[]): Move {
  const [look, read] = steps
  if (look === undefined) return { kind: 'command', command: lookAround }
  const [review = '', listing = ''] = look.output.split('\n== files\n')
  const remark = remarks.find(({ asks }) => asks.test(review))
  const path = /^## Comment by .* on `([\w./-]+)`/m.exec(review)?.[1]
  const base = /([\w-]+)\.js$/.exec(path ?? '')?.[1]
  const testPath = listing.split('\n').find((file) => base !== undefined && file === `test/${base}.test.js`)
  if (remark === undefined || path === undefined || testPath === undefined) return report(undefined, undefined)
  if (read === undefined) return { kind: 'command', command: `tail -v -n +1 ${path} ${testPath}` }
  const patch = patchOf(read.output, remark, path, testPath)
  if (patch === undefined) return report(undefined, undefined)
  const patched = steps.findIndex(({ tool }) => tool === 'apply_patch')
  if (patched === -1) return { kind: 'patch', patch }
  const after = steps[patched + 1]
  return after === undefined ? { kind: 'command', command: tests } : report(remark, after)
}

function patchOf(output: string, remark: Remark, path: string, testPath: string): string | undefined {
  // `tail -v` puts a line with the name before each file.
  const [, , source = '', , test = ''] = output.split(/^==> (\S+) <==\n/m)
  const lines = source.split('\n')
  const at = lines.findIndex((line) => remark.line.test(line))
  const name = lines
    .slice(0, Math.max(at, 0))
    .findLast((line) => /^export function \w+/.test(line))
    ?.replace(/^export function (\w+).*$/, '$1')
  const testLines = test.split('\n')
  const first = testLines.findIndex((line) => line.startsWith('test('))
  if (name === undefined || first < 1) return undefined
  return [
    '*** Begin Patch',
    `*** Update File: ${path}`,
    '@@',
    ` ${lines[at - 1] ?? ''}`,
    `-${lines[at] ?? ''}`,
    ...remark.change(lines[at] ?? '').map((line) => `+${line}`),
    ` ${lines[at + 1] ?? ''}`,
    `*** Update File: ${testPath}`,
    '@@',
    ` ${testLines[first - 1] ?? ''}`,
    ...remark.test(name).map((line) => `+${line}`),
    ` ${testLines[first] ?? ''}`,
    '*** End Patch',
    '',
  ].join('\n')
}

function report(remark: Remark | undefined, run: Step | undefined): Move {
  const outcome = run?.exitCode === 0 ? 'all tests pass' : 'tests still fail'
  const message = {
    title: remark?.title ?? 'No change after the review',
    summary: remark?.why ?? 'I read the review and found no remark that I know how to follow, so nothing is changed.',
    tests: run === undefined ? 'None.' : `\`${tests}\`: ${outcome}.`,
  }
  return { kind: 'message', text: JSON.stringify(message) }
}
