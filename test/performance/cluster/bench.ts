import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { kubectl } from '../../cluster/kubectl.ts'
import { chooseSections, measure, options, type Sections } from '../report.ts'
import { cold } from './cold.ts'
import { deliveries } from './deliveries.ts'
import { prepareCluster, type ClusterGround } from './ground.ts'
import { idle } from './idle.ts'
import { label } from './label.ts'
import { memory } from './memory.ts'

const usage = `npm run bench:cluster -- [OPTION]...

Measures on the cluster that KUBECONFIG names; it needs what npm run test:cluster needs and installs into the same
namespaces. It changes how long Knative keeps functions that have nothing to do, for the whole cluster, and puts that back
at the end. About 25 minutes.

  --only NAME[,NAME]   some sections only: NAMES
  --json FILE          all measurements, too
  --quick              small sizes: shows that it works, not how fast

A missed goal is a result: the status is 0. It is 1 when the benchmark itself is broken.`

const sections: Sections<ClusterGround> = { cold, memory, label, idle, deliveries }

const { values } = parseArgs({ options })
const names = chooseSections(sections, values, usage)
if (process.env['KUBECONFIG'] === undefined) {
  process.stderr.write('KUBECONFIG is not set: it names the cluster to measure on\n')
  process.exit(1)
}
const { serverVersion } = JSON.parse(await kubectl(['version', '--output', 'json'])) as {
  serverVersion: { gitVersion: string }
}
const ground = await prepareCluster(values.quick, (line) => void process.stderr.write(`${line}\n`))
const machine = `Kubernetes ${serverVersion.gitVersion}, ${process.version}, ${cpus().length} x ${cpus()[0]?.model}`
await measure(ground, sections, names, { machine, json: values.json })
