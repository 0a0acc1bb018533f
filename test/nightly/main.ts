import { parseArgs } from 'node:util'
import { prepare } from '../performance/ground.ts'
import { flood } from './flood.ts'
import { startGateway, type Gateway, type Verdict } from './gateway.ts'
import { oversized } from './oversized.ts'
import { slowSenders } from './slow-senders.ts'
import { timingOracle } from './timing.ts'

// npm run nightly [-- --only slow,timing,flood,oversized --quick]: attacks that take minutes, or need a quiet machine. The status
// is 1 when a promise does not hold. Everything is sent to this machine only.

const { values } = parseArgs({ options: { only: { type: 'string' }, quick: { type: 'boolean', default: false } } })
const { quick } = values

const attacks: Readonly<Record<string, (gateway: Gateway) => Promise<Verdict[]>>> = {
  slow: (gateway) => slowSenders(gateway, quick ? 200 : 5_000),
  timing: (gateway) => timingOracle(gateway, quick ? 500 : 10_000),
  flood: (gateway) => flood(gateway, quick ? 1_000 : 5_000, quick ? 3 : 15),
  oversized: (gateway) => oversized(gateway, (quick ? 30 : 1_024) * 1024 * 1024),
}
const names = values.only?.split(',') ?? Object.keys(attacks)
const ground = await prepare({ quick, full: false }, (line) => process.stderr.write(`${line}\n`))
const verdicts: Verdict[] = []
try {
  for (const name of names) {
    const attack = attacks[name]
    if (attack === undefined)
      throw new Error(`there is no attack ${name}; there are ${Object.keys(attacks).join(', ')}`)
    // A refused address stays refused for a while, so the times are measured without that limit.
    const gateway = await startGateway(ground, { throttled: name !== 'timing' })
    for (const verdict of await attack(gateway)) {
      verdicts.push(verdict)
      process.stdout.write(`${verdict.holds ? 'holds ' : 'BROKEN'} ${verdict.row}: ${verdict.says}\n`)
    }
    await gateway.stop()
  }
} finally {
  await ground.close()
}
const broken = verdicts.filter(({ holds }) => !holds).length
process.stdout.write(`${verdicts.length - broken} hold, ${broken} broken\n`)
process.exit(broken === 0 ? 0 : 1)
