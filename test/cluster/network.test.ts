import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { findIngress } from './door.ts'
import { hostAddress } from './host.ts'
import { kubectl } from './kubectl.ts'
import { kustomized } from './kustomized.ts'
import { apply, NAMESPACE, removeNamespaces } from './platform.ts'
import { everywhere, podOf, serving, tryAll, type Said } from './network-attempts.ts'

// What an agent's pod reaches: the same attempts from a run namespace, from one behind the door of deploy/overlays/run-door, and
// from one without any policy, to see that there is something to be reached. The manifests are the real ones; the functions
// are stand-ins that answer everything.

const PLATFORM = `${NAMESPACE}-network`
const RUNS = `${PLATFORM}-runs`
const DOOR = `${PLATFORM}-door`
const FREE = `${PLATFORM}-free`
const functions = ['run-gateway', 'model-gateway', 'label-router']

const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-network-'))
const stops: (() => void)[] = []
let attempts: Awaited<ReturnType<typeof everywhere>>

beforeAll(async () => {
  await removeNamespaces([PLATFORM, RUNS, DOOR, FREE])
  const { images } = inject('installed')
  const platform = await kustomized(join(folder, 'platform'), {
    namespace: PLATFORM,
    resources: ['knative'],
    components: ['deploy/overlays/run-door/platform'],
    patches: [
      patch('NetworkPolicy', 'run-door', ['/spec/ingress/0/from/0/namespaceSelector', labelled(PLATFORM)]),
      standIn,
    ],
    images,
    secretGenerator: ['database', 'forge', 'run-token'].map((name) => ({
      name: `codex-k8s-${name}`,
      literals: ['url=none', 'key=none'],
    })),
    generatorOptions: { disableNameSuffixHash: true },
  })
  const isNeeded = ({ kind, metadata: { name } }: (typeof platform)[number]) =>
    [...functions, 'run-door', 'platform'].includes(name) || ['Namespace', 'Secret', 'ConfigMap'].includes(kind)
  await apply(platform.filter(isNeeded))

  const runs = { resources: ['knative/runs'] }
  await apply(await kustomized(join(folder, 'runs'), { ...runs, namespace: RUNS, patches: await ownIngress() }))
  const door = patch('NetworkPolicy', 'gateways', [
    '/spec/egress/0/to/0/namespaceSelector',
    { matchLabels: { 'kubernetes.io/metadata.name': PLATFORM } },
  ])
  const noDns = {
    target: { kind: 'NetworkPolicy', name: 'dns' },
    patch: '$patch: delete\nkind: NetworkPolicy\nmetadata: { name: dns }',
  }
  const ofPlatform = patch('Namespace', '.*', ['/metadata/labels/codex-k8s.dev~1runs-of', PLATFORM])
  const components = ['deploy/overlays/run-door/runs']
  await apply(
    await kustomized(join(folder, 'door'), {
      ...runs,
      components,
      namespace: DOOR,
      patches: [door, noDns, ofPlatform],
    }),
  )
  await kubectl(['create', 'namespace', FREE])

  const image = `${images[0]?.newName}:${images[0]?.newTag}`
  // One makes the attempts; a neighbour is there to be reached.
  const places = [RUNS, DOOR, FREE].map((namespace) => [namespace, 'somebody'] as const)
  const pods = [...places, [PLATFORM, 'neighbour'] as const, [RUNS, 'neighbour'] as const]
  const manifests = pods.map(([namespace, name]) => JSON.stringify(podOf(namespace, name, image, serving)))
  await kubectl(['apply', '--filename', '-'], manifests.join('\n---\n'))
  for (const [namespace, name] of pods)
    await kubectl(['wait', `pod/${name}`, '--namespace', namespace, '--for', 'condition=Ready', '--timeout', '90s'])
  await kubectl(['rollout', 'status', 'deployment/run-door', '--namespace', PLATFORM, '--timeout', '90s'])
  await kubectl(['wait', 'ksvc', '--all', '--namespace', PLATFORM, '--for', 'condition=Ready', '--timeout', '120s'])
  attempts = await everywhere({ platform: PLATFORM, runs: RUNS, ...(await elsewhere()) })
})

afterAll(async () => {
  for (const stop of stops) stop()
  rmSync(folder, { recursive: true, force: true })
  await removeNamespaces([PLATFORM, RUNS, DOOR, FREE])
})

const gateways = { 'run-gateway': '200', 'model-gateway': '200' }
const throughDoor = { 'the door to run-gateway': '200', 'the door to model-gateway': '200' }
const open = (said: Said) => Object.keys(said).filter((name) => said[name] === 'open' || said[name] === '200')
// A network plugin may take a moment to enforce what is new.
const settled = { timeout: 120_000, interval: 1_000 }

test('J2 without policies nearly everything is there', async () => {
  const there = ['the API server', 'a kubelet', 'TCP elsewhere', 'UDP elsewhere', 'the broker', 'the name of a gateway']
  await expect.poll(async () => open(await reached(FREE)), settled).toEqual(expect.arrayContaining(there))
})

test('J2 an agent reaches the two gateways, from zero, and of the rest only what the ingress serves by name', async () => {
  const expected = [...Object.keys(gateways), 'another function', 'the name of a gateway']
  await expect.poll(async () => open(await reached(RUNS)).toSorted(), settled).toEqual(expected.toSorted())
})

test('J2 behind the door an agent reaches the two gateways and nothing else, not even a name', async () => {
  await expect.poll(async () => open(await reached(DOOR)), settled).toEqual(Object.keys(throughDoor))
})

test('W25 nobody from elsewhere reaches a pod of the platform or of a run', async () => {
  const nobody = {
    'a pod of the platform': 'nothing',
    'a pod of a run': 'nothing',
    'the door to run-gateway': 'nothing',
  }
  await expect.poll(() => reached(FREE), settled).toMatchObject(nobody)
})

/** What comes of all attempts, made in the pod of the namespace. */
async function reached(namespace: string): Promise<Said> {
  const script = tryAll(attempts)
  const command = ['node', '--input-type=module', '--eval', script]
  return JSON.parse(await kubectl(['exec', 'somebody', '--namespace', namespace, '--', ...command])) as Said
}

/** TCP and UDP of this machine, as the database and the forge are reached. */
async function elsewhere() {
  const host = await hostAddress()
  const udp = createSocket('udp4')
  udp.on('message', (message, from) => udp.send(message, from.port, from.address)).bind(0, host)
  const tcp = createServer((socket) => socket.end()).listen(0, host)
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')])
  stops.push(
    () => udp.close(),
    () => tcp.close(),
  )
  return { host, udpPort: udp.address().port, tcpPort: (tcp.address() as AddressInfo).port }
}

/** The functions' own images, with another program. The door is the real one. */
const standIn = {
  target: { group: 'serving.knative.dev', kind: 'Service' },
  patch: JSON.stringify([
    {
      op: 'add',
      path: '/spec/template/spec/containers/0/command',
      value: ['node', '--input-type=module', '--eval', serving],
    },
  ]),
}

const labelled = (platform: string) => ({ matchLabels: { 'codex-k8s.dev/runs-of': platform } })

function patch(kind: string, name: string, ...values: readonly (readonly [path: string, value: unknown])[]) {
  const op = (path: string) => (path.endsWith('/-') ? 'add' : 'replace')
  return {
    target: { kind, name },
    patch: JSON.stringify(values.map(([path, value]) => ({ op: op(path), path, value }))),
  }
}

/** What docs/run-namespaces.md says to do for an ingress and a resolver that the manifests do not know. */
async function ownIngress() {
  const [namespace = '', name = ''] = (await findIngress()).split('/')
  const [ingress, dns] = await Promise.all([serviceSpec(namespace, name), serviceSpec('kube-system', 'kube-dns')])
  const to = [
    {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
      podSelector: { matchLabels: ingress.selector },
    },
  ]
  const ports = ingress.ports.filter(({ port }) => port === 80).map(({ targetPort }) => ({ port: targetPort }))
  const resolver = dns.ports.map(
    ({ protocol, targetPort }) => ['/spec/egress/0/ports/-', { protocol, port: targetPort }] as const,
  )
  return [
    patch('NetworkPolicy', 'gateways', ['/spec/egress/-', { to, ports }]),
    patch('NetworkPolicy', 'dns', ...resolver),
  ]
}

async function serviceSpec(namespace: string, name: string) {
  const { spec } = JSON.parse(
    await kubectl(['get', 'service', name, '--namespace', namespace, '--output', 'json']),
  ) as {
    spec: { selector: object; ports: { port: number; targetPort: number | string; protocol: string }[] }
  }
  return spec
}
