import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'

// npm run test:cluster: the manifests and bundles on the cluster that KUBECONFIG names. It makes the namespace
// codex-k8s-test and removes it, also what a run that was cut off has left. Ends with a line `N passed, N failed`.
//
//   KUBECTL          default: kubectl on PATH
//   ARCHIVE_LOADER   called with a file that holds all images, which docker, podman or buildah has built: `kind load
//                    image-archive`, `k3s ctr images import`
//   IMAGE_BASE       what they are built on; default: as for `npm run images`
//   IMAGE_LOADER     where nothing builds images, and then there is no agent's: called as `IMAGE_LOADER NAME:TAG FOLDER ENTRYPOINT_JSON`: makes an image with the folder at /app on top
//                    of Node and puts it where the cluster's nodes find it
//   AGENT_IMAGE_LOADER  called in the same way with the root of a whole file system as FOLDER
//   IMAGE_PREFIX     default: dev.local, for which Knative asks no registry
//   HOST_ADDRESS     where pods reach this machine; default: the address that shares a network with a node
//   INGRESS          NAMESPACE/SERVICE of Knative's ingress; default: the usual names
//   BROKER_CLASS     rabbitmq: on that class instead of the cluster's default; RABBITMQ_URI and RABBITMQ_PORT say where it is
//                    (default: this machine, 15672 and 5672), for guest
//   TEST_NAMESPACE   default: codex-k8s-test
//
// Options are vitest's: `-- test/cluster/poison.test.ts`, `-- -t 'F22'`.

const root = join(import.meta.dirname, '..', '..')
const kubectl = process.env['KUBECTL'] ?? 'kubectl'

const seen = spawnSync(
  kubectl,
  ['get', 'services.serving.knative.dev,brokers.eventing.knative.dev', '--all-namespaces'],
  {
    encoding: 'utf8',
    timeout: 30_000,
  },
)
if (process.env['KUBECONFIG'] === undefined || seen.status !== 0) {
  const why =
    process.env['KUBECONFIG'] === undefined ? 'KUBECONFIG is not set' : (seen.stderr || String(seen.error)).trim()
  console.error(`no cluster with Knative Serving and Eventing: ${why}`)
  console.log('0 passed, 1 failed')
  process.exit(1)
}

const args = [join(root, 'deploy', 'test.ts'), '--config', join(import.meta.dirname, 'vitest.config.ts')]
const child = spawn(process.execPath, [...args, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.once('close', (code) => process.exit(code ?? 1))
