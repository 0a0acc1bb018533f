import { parseArgs } from 'node:util'
import { play, type Outcome } from './harness.ts'
import { mutants, SHORT } from './mutants.ts'

// npm run harness -- --deliveries N --seed S --minutes M [--replicas R] [--gated] [--no-faults] [--mutants] [--verbose]
// Plays a generated history under faults and prints one table; ends with 1 if anything was lost, doubled or wrong. With
// --mutants it plays a short history for each guard that is taken away, and ends with 1 if the loss of one goes unnoticed.

const { values } = parseArgs({
  options: {
    deliveries: { type: 'string', default: '2000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    minutes: { type: 'string', default: '1' },
    replicas: { type: 'string', default: '2' },
    gated: { type: 'boolean', default: false },
    'no-faults': { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})
// What was started hears of the end and goes with us.
for (const [signal, code] of [
  ['SIGHUP', 129],
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(code))
const seed = Number(values.seed)
const say = (line: string) => console.log(line)
const log = values.verbose ? { log: say } : {}
say(`seed ${seed}`)
const isGood = values.mutants ? await playMutants() : await playOnce()
process.exitCode = isGood ? 0 : 1

async function playOnce(): Promise<boolean> {
  const outcome = await play({
    deliveries: Number(values.deliveries),
    seed,
    seconds: Number(values.minutes) * 60,
    replicas: Number(values.replicas),
    isGated: values.gated,
    ...(values['no-faults'] && { faults: [] }),
    say,
    ...log,
  })
  print(outcome)
  return outcome.findings.length === 0
}

async function playMutants(): Promise<boolean> {
  let unnoticed = 0
  for (const { name, finds, says, ...mutant } of mutants) {
    const { findings, table } = await play({ ...SHORT, seed, ...mutant, ...log })
    const found = findings.find(({ kind, what }) => kind === finds && says.test(what))
    if (found === undefined) unnoticed += 1
    say(
      `${found === undefined ? 'UNNOTICED' : 'noticed'}: ${name} (${table['seconds']} s): ${found?.what ?? 'nothing'}`,
    )
  }
  return unnoticed === 0
}

function print({ table, faults, findings }: Outcome): void {
  for (const [kind, count] of faults) say(`  ${kind.padEnd(26)} ${count}`)
  for (const [name, value] of Object.entries(table)) say(`${name.padEnd(28)} ${value}`)
  const worstFirst = findings.toSorted((one, other) => one.kind.localeCompare(other.kind))
  for (const { kind, what } of worstFirst.slice(0, 20)) say(`${kind}: ${what}`)
}
