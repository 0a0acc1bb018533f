import { appendFileSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { startBroker } from '../../../deploy/local/broker/broker.ts'

// The broker as a process that can be killed: what it holds is in its memory and goes with it, what it has accepted is in
// a file of its own before it answers. SERVICES is JSON: a function's ports, which take turns as replicas behind a Service.
const { PORT = '0', SERVICES = '{}', JOURNAL = '', SEED = '1' } = process.env
const services = JSON.parse(SERVICES) as Record<string, readonly number[]>
let turn = 0

/** What each replica takes at a time, as its Service says. */
const perReplica = new Map(
  Object.keys(services).map((name) => {
    const text = readFileSync(new URL(`../../../knative/${name}.yaml`, import.meta.url), 'utf8')
    const { spec } = parse(text) as { spec: { template: { spec: { containerConcurrency: number } } } }
    return [name, spec.template.spec.containerConcurrency]
  }),
)

const broker = await startBroker({
  eventing: new URL('../../../eventing/', import.meta.url),
  resolve(name) {
    const ports = services[name] ?? []
    return `http://127.0.0.1:${ports[(turn += 1) % ports.length] ?? 9}`
  },
  port: Number(PORT),
  backoffScale: 0.2,
  concurrency: (name) => (perReplica.get(name) ?? 1) * (services[name]?.length ?? 1),
  faults: { seed: Number(SEED), duplicate: 0.2, delayMs: 100 },
  journal: ({ kind, id }) => kind === 'accepted' && appendFileSync(JOURNAL, `${id}\n`),
})
process.stdout.write(`${JSON.stringify({ ready: true, url: broker.url })}\n`)
