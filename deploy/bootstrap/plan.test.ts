import { expect, test } from 'vitest'
import { parseConfig } from './config.ts'
import { union } from './inventory.ts'
import type { Resource } from './kubectl.ts'
import { output, printable } from './output.ts'
import { changeOf, leftOver, nameOf } from './plan.ts'
import { finish, OWNER_LABEL, placeholdersIn } from './render.ts'
import { loginUrl } from './secrets.ts'
import { withResolver } from './resolver.ts'
import { stageOf, unready } from './stages.ts'
import { secretNameOf } from './connect.ts'
import { withVersions } from './installation.ts'

const object = (kind: string, name: string, more: object = {}, apiVersion = 'v1'): Resource => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'p' },
  ...more,
})
const GATE = { users: [], permission: 'write', quorum: 1, excludeRequester: true, expiresAfterSeconds: 3_600 }
const config = parseConfig({
  namespace: 'p',
  database: { trial: { storage: '3Gi', storageClass: 'fast' } },
  forge: { token: { env: 'T' } },
  gates: { dev: GATE },
})
const service = object(
  'Service',
  'label-router',
  { spec: { template: { spec: { containers: [{ image: 'codex-k8s/label-router' }] } } } },
  'serving.knative.dev/v1',
)

test('an object that only the cluster wrote to is unchanged', () => {
  const live = object('Service', 'a', { spec: { x: 1 }, status: { url: 'u' } })
  const metadata = {
    ...live.metadata,
    resourceVersion: '7',
    annotations: { 'serving.knative.dev/lastModifier': 'somebody' },
  }
  expect(changeOf({ ...live, metadata }, { ...live, status: {} })).toEqual({ change: 'unchanged', differs: [] })
  expect(changeOf(undefined, live).change).toBe('created')
})

test('a change is shown by where it is, and the value of a Secret never', () => {
  const before = object('Secret', 'a', { data: { url: 'one', other: 'same' } })
  const after = object('Secret', 'a', { data: { url: 'geheim', other: 'same', fresh: 'geheim' } })
  const planned = changeOf(before, after)
  expect(planned).toEqual({ change: 'changed', differs: ['data.url', 'data.fresh'] })
  const written: string[] = []
  output((text) => void written.push(text)).planned([{ name: nameOf(after, 'p'), ...planned }])
  expect(written.join('')).toBe('  Secret a changed: data.url, data.fresh\n')
})

test('what an older version made and this one does not is left over, whatever its version of the API', () => {
  const made = union([object('Trigger', 'old', {}, 'eventing.knative.dev/v1beta1'), object('ConfigMap', 'kept')])
  const wanted = [object('ConfigMap', 'kept'), object('Trigger', 'new', {}, 'eventing.knative.dev/v1')]
  expect(leftOver(made, wanted).map(({ metadata }) => metadata.name)).toEqual(['old'])
  const again = union(made, made, [...made].toReversed())
  expect(again).toEqual(made)
})

test('objects come in the order in which they need each other', () => {
  const stages = [
    object('Namespace', 'p'),
    object('Secret', 'a'),
    object('Role', 'a', {}, 'rbac.authorization.k8s.io/v1'),
    object('Service', 'postgres'),
    object('StatefulSet', 'postgres', {}, 'apps/v1'),
    object('Job', 'migrate', {}, 'batch/v1'),
    service,
    object('Deployment', 'run-door', {}, 'apps/v1'),
    object('Broker', 'default', {}, 'eventing.knative.dev/v1'),
    object('PingSource', 'sweep', {}, 'sources.knative.dev/v1'),
  ].map(stageOf)
  const order =
    'namespaces secrets configuration configuration database migrations functions functions eventing eventing'
  expect(stages.join(' ')).toBe(order)
})

test('a thing is ready when its controller has seen the newest of it and says so', () => {
  const generation = { name: 'a', namespace: 'p', generation: 2 }
  const status = (observedGeneration: number, ready: string) => ({
    metadata: generation,
    status: { observedGeneration, conditions: [{ type: 'Ready', status: ready, message: 'why' }] },
  })
  const trigger = (more: object) => unready(object('Trigger', 'a', more, 'eventing.knative.dev/v1'))
  expect(trigger(status(2, 'True'))).toBeUndefined()
  expect(trigger(status(1, 'True'))).toMatchObject({ why: 'not looked at yet' })
  expect(trigger(status(2, 'False'))).toEqual({ why: 'why', failed: false })
  expect(trigger({ metadata: generation })).toBeDefined()
  const job = (type: string) => ({ status: { conditions: [{ type, status: 'True', message: 'why' }] } })
  expect(unready(object('Job', 'a', job('Complete'), 'batch/v1'))).toBeUndefined()
  expect(unready(object('Job', 'a', job('Failed'), 'batch/v1'))).toEqual({ why: 'why', failed: true })
  expect(unready(object('StatefulSet', 'a', { spec: { replicas: 1 } }, 'apps/v1'))).toBeDefined()
  const door = (more: object) => unready(object('Deployment', 'a', { metadata: generation, ...more }, 'apps/v1'))
  const pods = { observedGeneration: 2, replicas: 1, readyReplicas: 1, updatedReplicas: 1 }
  const stuck = [{ type: 'Progressing', status: 'False', message: 'why' }]
  expect(door({ status: pods })).toBeUndefined()
  expect(door({ status: { ...pods, observedGeneration: 1 } })).toMatchObject({ why: 'not looked at yet' })
  expect(door({ status: { ...pods, replicas: 2 } })).toMatchObject({ failed: false })
  expect(door({ status: { ...pods, readyReplicas: 0, conditions: stuck } })).toEqual({ why: 'why', failed: true })
  expect(unready(object('ConfigMap', 'a'))).toBeUndefined()
})

test('the configuration reaches the manifests: images, addresses, owner, storage, subjects', () => {
  const claim = { metadata: { name: 'data' }, spec: { resources: { requests: { storage: '10Gi' } } } }
  const binding = object('RoleBinding', 'a', { subjects: [{ name: 's', namespace: 'codex-k8s' }] })
  const policy = object('NetworkPolicy', 'a', { spec: { matchLabels: { 'kubernetes.io/metadata.name': 'codex-k8s' } } })
  const runs = object('Namespace', 'runs', {
    metadata: { name: 'runs', labels: { 'codex-k8s.dev/runs-of': 'codex-k8s' } },
  })
  const [settings, fn, disk, bound, limited, ofUs] = finish(
    [
      object('ConfigMap', 'codex-k8s', { data: { more: 'stays' } }),
      service,
      object('StatefulSet', 'postgres', { spec: { volumeClaimTemplates: [claim] } }, 'apps/v1'),
      binding,
      policy,
      runs,
    ],
    config,
    new Map([
      ['codex-k8s/label-router', 'registry/label-router@sha256:1'],
      ['codex-k8s/agent', 'registry/agent:1'],
    ]),
  )
  expect(settings?.metadata.labels?.[OWNER_LABEL]).toBe('p')
  expect(settings?.data).toMatchObject({
    more: 'stays',
    brokerUrl: 'http://broker-ingress.knative-eventing.svc.cluster.local/p/default',
    agentImage: 'registry/agent:1',
    gates: JSON.stringify({ dev: GATE }),
  })
  expect(JSON.stringify(fn)).toContain('"image":"registry/label-router@sha256:1"')
  expect(JSON.stringify(disk)).toContain('"storage":"3Gi"')
  expect(JSON.stringify(disk)).toContain('"storageClassName":"fast"')
  expect(JSON.stringify(bound)).toContain('"namespace":"p"}]')
  expect(JSON.stringify(limited)).toContain('"kubernetes.io/metadata.name":"p"')
  expect(ofUs?.metadata.labels?.['codex-k8s.dev/runs-of']).toBe('p')
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'codex-k8s-a' } }
  const link = { ...role, kind: 'ClusterRoleBinding', roleRef: { kind: 'ClusterRole', name: 'codex-k8s-a' } }
  expect(finish([role, link], config, new Map())).toMatchObject([
    { metadata: { name: 'codex-k8s-a-p' } },
    { metadata: { name: 'codex-k8s-a-p' }, roleRef: { name: 'codex-k8s-a-p' } },
  ])
  expect(placeholdersIn(finish([service], config, new Map()))).toEqual(['codex-k8s/label-router'])
})

test('agents reach a resolver whose pods listen elsewhere than on 53, and no other policy changes', () => {
  const known = ['UDP', 'TCP'].map((protocol) => ({ protocol, port: 53 }))
  const found = ['UDP', 'TCP'].map((protocol) => ({ protocol, port: 1053 }))
  const policy = (name: string, ports: object[]) =>
    object('NetworkPolicy', name, { spec: { egress: [{ to: [], ports }] } })
  const policies = [policy('dns', known), policy('gateways', known)]
  expect(withResolver(policies, known)).toEqual(policies)
  expect(withResolver(policies, found)).toEqual([policy('dns', [...known, ...found]), policies[1]])
})

test('another version of a Secret makes another revision and another migration, the same one none', () => {
  const job = object('Job', 'migrate', { spec: { template: {} } }, 'batch/v1')
  const secret = (name: string, resourceVersion: string) => ({
    ...object('Secret', name),
    metadata: { name, namespace: 'p', resourceVersion },
  })
  const made = (version: string) =>
    JSON.stringify(
      withVersions([service, job], [secret('codex-k8s-database', version), secret('codex-k8s-hooks', version)]),
    )
  expect(made('1')).toBe(made('1'))
  expect(made('1')).not.toBe(made('2'))
  const hooks = withVersions([service], [secret('codex-k8s-hooks', '9')])
  expect(hooks).toEqual(withVersions([service], []))
})

test('a password that is there stays, also when the database moves, and an owner is no login', () => {
  const first = loginUrl('postgres://owner:geheim@one:5432/Codex-1?sslmode=require', 'functions', undefined)
  expect(first).toMatch(/^postgres:\/\/codex_k8s_codex_1_functions:[0-9a-f]{64}@one:5432\/Codex-1\?sslmode=require$/)
  const { password } = new URL(first)
  expect(loginUrl('postgres://owner:geheim@two/Codex-1', 'functions', first)).toContain(`:${password}@two/`)
  expect(loginUrl('postgres://owner:geheim@two/other', 'functions', first)).not.toContain(password)
  expect(loginUrl('postgres://owner:geheim@two/Codex-1', 'audit', first)).not.toContain(password)
  expect(() => loginUrl('geheim', 'audit', undefined)).toThrow(/database.ownerUrl is not a URL/)
  expect(() => loginUrl('geheim', 'audit', undefined)).not.toThrow(/geheim/)
})

test('the key of a hook is a name for the database and for Kubernetes, and no two repositories share it', () => {
  const names = ['a/b', 'a/b_c', 'a/b-c', 'A/B', 'a-b/c', 'a/b.c', `x/${'y'.repeat(100)}`].map((name) =>
    secretNameOf('i', name),
  )
  for (const name of names) expect(name).toMatch(/^[a-z0-9][a-z0-9.-]{0,100}$/)
  expect(new Set(names).size).toBe(names.length - 1)
  expect(secretNameOf('i', 'a/b')).not.toBe(secretNameOf('other', 'a/b'))
})

test('what others say reaches the terminal without control characters and passwords', () => {
  expect(printable('\u001b[31mred\u0007 postgres://me:geheim@host/db\n')).toBe(' [31mred  postgres://me:***@host/db\n')
})
