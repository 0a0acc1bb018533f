import { fileURLToPath } from 'node:url'
import { freePort } from '../../../deploy/local/free-port.ts'
import { environment } from '../../../deploy/local/function-processes.ts'
import { FUNCTIONS, type FunctionName, type FunctionsOptions } from '../../../deploy/local/functions.ts'
import { startChild, type Child } from './child.ts'

const SKEW = fileURLToPath(new URL('skew.mjs', import.meta.url))

/** Wall clocks of the replicas, milliseconds off. */
const SKEWS = [0, 10 * 60_000, -10 * 60_000, 0]

/** One replica of a function. */
export interface Replica {
  readonly name: FunctionName
  readonly port: number
  readonly process: Child
}

/** Ports of every function's replicas. */
export type Ports = Readonly<Record<FunctionName, readonly number[]>>

/** As many ports for each function as it has replicas. */
export async function choosePorts(replicas: number): Promise<Ports> {
  const chosen = FUNCTIONS.map(async (name) => {
    const ports = await Promise.all(Array.from({ length: replicas }, () => freePort()))
    return [name, ports] as const
  })
  return Object.fromEntries(await Promise.all(chosen)) as unknown as Ports
}

/** Starts every replica of every function from its bundle, with what its Service would be told. */
export async function startFleet(
  bundles: Readonly<Record<FunctionName, string>>,
  options: Omit<FunctionsOptions, 'ports'>,
  ports: Ports,
  say: (line: string) => void,
): Promise<readonly Replica[]> {
  const first = Object.fromEntries(FUNCTIONS.map((name) => [name, ports[name][0] ?? 0])) as FunctionsOptions['ports']
  const second = Object.fromEntries(
    FUNCTIONS.map((name) => [name, ports[name].at(-1) ?? 0]),
  ) as FunctionsOptions['ports']
  const starting = FUNCTIONS.flatMap((name, index) =>
    ports[name].map(async (port, replica): Promise<Replica> => {
      // Replicas reach other replicas: each half of the fleet knows another address of the same function.
      const env = environment(name, { ...options, ports: replica % 2 === 0 ? first : second })
      const process = await startChild({
        script: bundles[name],
        env: { ...env, PORT: String(port), SKEW_MS: String(SKEWS[(index + replica) % SKEWS.length]) },
        node: ['--import', SKEW],
        ready: /"msg":"listening"/,
        say,
      })
      return { name, port, process }
    }),
  )
  const started = await Promise.allSettled(starting)
  const failed = started.find((each) => each.status === 'rejected')
  const fleet = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  if (failed === undefined) return fleet
  await Promise.all(fleet.map(({ process }) => process.close()))
  throw failed.reason
}
