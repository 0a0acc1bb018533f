import { writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { deliveries } from './deliveries.ts'
import { table, type Section } from './figures.ts'
import { idle } from './idle.ts'
import { labelToStart } from './label-to-start.ts'
import { ledger } from './ledger.ts'
import { prepare, type Ground } from './ground.ts'
import { growth } from './growth.ts'
import { starts } from './starts.ts'

const usage = `npm run bench -- [OPTION]...

  --only NAME[,NAME]   some sections only: NAMES
  --json FILE          all measurements, too
  --quick              small sizes: shows that it works, not how fast
  --full               a million rows of the ledger
  --peer probot        fetch Probot into a temporary folder and measure it, too

A missed goal is a result: the status is 0. It is 1 when the benchmark itself is broken.`

const sections: Readonly<Record<string, (ground: Ground) => Promise<Section>>> = {
  starts,
  deliveries,
  label: labelToStart,
  idle,
  ledger,
  growth,
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    peer: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const write = (line: string) => void process.stdout.write(`${line}\n`)
const names = values.only?.split(',') ?? Object.keys(sections)
const unknown = names.find((name) => !Object.hasOwn(sections, name))
if (values.help || unknown !== undefined) {
  if (unknown !== undefined) write(`there is no section ${unknown}`)
  write(usage.replace('NAMES', Object.keys(sections).join(', ')))
  process.exit(values.help ? 0 : 1)
}

const machine = () =>
  `load ${loadavg()
    .map((each) => each.toFixed(2))
    .join(' ')}`
const { quick, full, peer } = values
const ground = await prepare({ quick, full, ...(peer !== undefined && { peer }) }, (line) =>
  process.stderr.write(`${line}\n`),
)
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
const before = `${process.version}, ${cpus().length} x ${cpus()[0]?.model}, a durable write ${ground.syncMs.toFixed(2)} ms, ${machine()}`
const done: Record<string, Section & { readonly seconds: number }> = {}
try {
  for (const name of names) {
    const began = performance.now()
    const section = await sections[name]?.(ground)
    if (section !== undefined) done[name] = { ...section, seconds: (performance.now() - began) / 1_000 }
  }
} finally {
  await ground.close()
}
const results = Object.values(done)
write(`${before}; at the end ${machine()}${quick ? '; QUICK: sizes too small to mean anything' : ''}\n`)
write(table(results.flatMap(({ figures }) => figures)))
for (const note of results.flatMap(({ notes }) => notes)) write(`- ${note}`)
if (values.json !== undefined)
  writeFileSync(values.json, JSON.stringify({ machine: before, quick, sections: done }, null, 2))
