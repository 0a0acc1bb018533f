/** What is written in a source file, and what stands there instead. Blanks and line breaks do not count. */
export type Edit = readonly [text: string, instead: string]

/** One source file and what it is to say instead. */
export interface EditedFile {
  readonly file: string
  readonly edits: readonly Edit[]
}

/** GitHub's secondary limits out of the way: a test asks more in a second than one may in a minute. */
export const UNLIMITED: EditedFile = {
  file: 'shared/pace.ts',
  edits: [
    ['points: { burst: 300, everyMs: 120 }', 'points: { burst: 300_000, everyMs: 0.01 }'],
    ['minute: { burst: 15, everyMs: 1_000 }', 'minute: { burst: 15_000, everyMs: 0.01 }'],
    ['hour: { burst: 75, everyMs: 9_000 }', 'hour: { burst: 75_000, everyMs: 0.01 }'],
  ],
}

/** GitHub's secondary limits as they are, by a clock that goes so many times faster. */
export const paced = (speed: number): EditedFile => ({
  file: 'shared/pace.ts',
  edits: [
    ['burst: 300, everyMs: 120', `burst: 300, everyMs: ${120 / speed}`],
    ['burst: 15, everyMs: 1_000', `burst: 15, everyMs: ${1_000 / speed}`],
    ['burst: 75, everyMs: 9_000', `burst: 75, everyMs: ${9_000 / speed}`],
  ],
})

/** The source with every edit made; fails when it does not say what is to be replaced exactly once. */
export function edited(source: string, file: string, edits: readonly Edit[]): string {
  return edits.reduce((text, [from, to]) => {
    const words = from
      .trim()
      .split(/\s+/)
      .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
    const found = [...text.matchAll(new RegExp(words.join(String.raw`\s+`), 'g'))]
    if (found.length !== 1) throw new Error(`${file} has ${found.length} times and not once: ${from}`)
    const [{ index, 0: whole }] = found as [RegExpExecArray]
    return text.slice(0, index) + to + text.slice(index + whole.length)
  }, source)
}
