import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { table, type Section } from './figures.ts'

/** What can be measured, by the name that `--only` knows. */
export type Sections<Ground> = Readonly<Record<string, (ground: Ground) => Promise<Section>>>

/** Options of every benchmark. */
export const options = {
  only: { type: 'string' },
  json: { type: 'string' },
  quick: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

const write = (line: string) => void process.stdout.write(`${line}\n`)

/** The sections that were asked for. Prints the usage and ends the process where that was asked for, or is needed. */
export function chooseSections(
  sections: Sections<never>,
  { only, help }: { readonly only?: string | undefined; readonly help: boolean },
  usage: string,
): readonly string[] {
  const names = only?.split(',') ?? Object.keys(sections)
  const unknown = names.find((name) => !Object.hasOwn(sections, name))
  if (!help && unknown === undefined) return names
  if (unknown !== undefined) write(`there is no section ${unknown}`)
  write(usage.replace('NAMES', Object.keys(sections).join(', ')))
  process.exit(help ? 0 : 1)
}

const machineLoad = () =>
  `load ${loadavg()
    .map((each) => each.toFixed(2))
    .join(' ')}`

/**
 * Measures one section after the other, then prints the one table. A section that breaks is no reason not to measure the
 * others; the process then ends with 1.
 */
export async function measure<Ground extends { readonly quick: boolean; close(): Promise<void> }>(
  ground: Ground,
  sections: Sections<Ground>,
  names: readonly string[],
  { machine, json }: { readonly machine: string; readonly json?: string | undefined },
): Promise<void> {
  const before = `${machine}, ${machineLoad()}`
  const { quick } = ground
  const done: Record<string, Section & { readonly seconds: number }> = {}
  try {
    for (const name of names) {
      const began = performance.now()
      try {
        const section = await sections[name]?.(ground)
        if (section !== undefined) done[name] = { ...section, seconds: (performance.now() - began) / 1_000 }
        // As soon as it is known: what comes after may be cut off.
        if (json !== undefined) writeFileSync(json, JSON.stringify({ machine: before, quick, sections: done }, null, 2))
      } catch (error) {
        process.stderr.write(`${name} is broken: ${error instanceof Error ? error.stack : String(error)}\n`)
        process.exitCode = 1
      }
    }
  } finally {
    await ground.close()
  }
  const results = Object.values(done)
  write(`${before}; at the end ${machineLoad()}${quick ? '; QUICK: sizes too small to mean anything' : ''}\n`)
  write(table(results.flatMap(({ figures }) => figures)))
  for (const note of results.flatMap(({ notes }) => notes)) write(`- ${note}`)
}
