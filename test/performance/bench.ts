import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { deliveries } from './deliveries.ts'
import { idle } from './idle.ts'
import { labelToStart } from './label-to-start.ts'
import { ledger } from './ledger.ts'
import { prepare, type Ground } from './ground.ts'
import { growth } from './growth.ts'
import { chooseSections, measure, options, type Sections } from './report.ts'
import { starts } from './starts.ts'

const usage = `npm run bench -- [OPTION]...

  --only NAME[,NAME]   some sections only: NAMES
  --json FILE          all measurements, too
  --quick              small sizes: shows that it works, not how fast
  --full               a million rows of the ledger
  --peer probot        fetch Probot into a temporary folder and measure it, too

A missed goal is a result: the status is 0. It is 1 when the benchmark itself is broken.`

const sections: Sections<Ground> = {
  starts,
  deliveries,
  label: labelToStart,
  idle,
  ledger,
  growth,
}

const { values } = parseArgs({
  options: { ...options, full: { type: 'boolean', default: false }, peer: { type: 'string' } },
})
const names = chooseSections(sections, values, usage)
const { quick, full, peer } = values
const ground = await prepare({ quick, full, ...(peer !== undefined && { peer }) }, (line) =>
  process.stderr.write(`${line}\n`),
)
process.once('SIGINT', () => process.exit(130))
process.once('SIGTERM', () => process.exit(143))
const machine = `${process.version}, ${cpus().length} x ${cpus()[0]?.model}, a durable write ${ground.syncMs.toFixed(2)} ms`
await measure(ground, sections, names, { machine, json: values.json })
