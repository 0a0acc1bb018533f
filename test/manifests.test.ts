import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { readRepository, type Files } from './support/repository.ts'
import { connectionsFit, hardenedManifests, kustomizedFiles } from './support/rules-manifests.ts'

const account = 'kind: ServiceAccount\nmetadata: { name: gate }\nautomountServiceAccountToken: false\n---\n'
const good = `${account}apiVersion: serving.knative.dev/v1
kind: Service
metadata: { name: gate, labels: { networking.knative.dev/visibility: cluster-local } }
spec:
  template:
    metadata: { annotations: { autoscaling.knative.dev/min-scale: '0', autoscaling.knative.dev/max-scale: '9' } }
    spec:
      serviceAccountName: gate
      automountServiceAccountToken: false
      enableServiceLinks: false
      containerConcurrency: 10
      securityContext: { runAsNonRoot: true, seccompProfile: { type: RuntimeDefault } }
      containers:
        - image: codex-k8s/gate
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ALL] }
          resources: { requests: { cpu: 1m, memory: 1Mi }, limits: { memory: 1Mi } }
          readinessProbe: {}
          livenessProbe: {}
          env: [{ name: RUN_TOKEN_KEY, valueFrom: {} }, { name: SECRETS_DIR, value: /x }]
`
const role = (rule: string) => `kind: Role\nrules: [{ ${rule} }]`
const namespace = 'kind: Namespace\nmetadata: { labels: { pod-security.kubernetes.io/enforce: restricted } }'
/** What makes of a good Service a bad one. */
const spoiled: readonly (readonly [from: string, to: string])[] = [
  ['codex-k8s/gate', 'gate'],
  ['codex-k8s/gate', 'gate:latest'],
  ['runAsNonRoot: true', 'runAsNonRoot: false'],
  ['RuntimeDefault', 'Unconfined'],
  ['Escalation: false', 'Escalation: true'],
  ['Filesystem: true', 'Filesystem: false'],
  ['ALL', 'NET_RAW'],
  [', limits: { memory: 1Mi }', ''],
  ['cpu: 1m, ', ''],
  ['livenessProbe: {}', ''],
  ['readinessProbe: {}', ''],
  ['serviceAccountName: gate', ''],
  ['serviceAccountName: gate', 'serviceAccountName: other'],
  ['      automountServiceAccountToken: false', ''],
  ['enableServiceLinks: false', ''],
  ['containers:', 'hostNetwork: true\n      containers:'],
  ['containers:', 'volumes: [{ hostPath: { path: / } }]\n      containers:'],
  ['containers:', 'volumes: [{ emptyDir: {} }]\n      containers:'],
  ['valueFrom: {}', 'value: hunter2'],
  ['cluster-local', 'public'],
  ["min-scale: '0'", "min-scale: '1'"],
  ["max-scale: '9'", "max-scale: '0'"],
  ['containerConcurrency: 10', ''],
  [account, account.replace('false', 'true')],
]

const rules = [
  {
    name: 'a manifest asks for nothing that it does not need',
    check: hardenedManifests,
    good: [
      good,
      good.replace('codex-k8s/gate', 'example.com/gate:1'),
      namespace,
      role('apiGroups: [batch], resources: [jobs], verbs: [get]'),
      role("apiGroups: [''], resources: [secrets], verbs: [create]"),
    ],
    bad: [
      ...spoiled.map(([from, to]) => good.replace(from, to)),
      namespace.replace('restricted', 'baseline'),
      'kind: Secret\nstringData: { a: b }',
      role("apiGroups: ['*'], resources: [jobs], verbs: [get]"),
      role("apiGroups: [''], resources: [secrets], verbs: [get]"),
      role("apiGroups: [''], resources: [pods/exec], verbs: [create]"),
      role('apiGroups: [rbac.authorization.k8s.io], resources: [roles], verbs: [bind]'),
    ],
  },
  {
    name: 'the pods of all functions find a connection to the database',
    check: connectionsFit,
    good: [good],
    bad: [good.replace("max-scale: '9'", "max-scale: '20'")],
  },
]

describe('the manifests', () => {
  const files = readRepository()
  test.for([...rules, { name: 'each is in a kustomization', check: kustomizedFiles }])('$name', ({ check }) => {
    expect(check(files)).toEqual([])
  })
})

// A rule that cannot fail guards nothing.
describe('the rule bites', () => {
  test.for(rules)('$name', ({ check, good: kept, bad }) => {
    const isKept = (text: string) => check(new Map([['knative/gate.yaml', text]])).length === 0
    expect(kept.filter((each) => !isKept(each))).toEqual([])
    expect(bad.filter(isKept)).toEqual([])
  })

  test('each is in a kustomization', () => {
    const list = ['knative/kustomization.yaml', 'resources: [a.yaml, b]\npatches: [{ path: c.yaml }]'] as const
    const whole: Files = new Map([list, ['knative/a.yaml', 'kind: A'], ['knative/c.yaml', 'kind: C']])
    expect(kustomizedFiles(whole)).toEqual([])
    expect(kustomizedFiles(new Map([...whole, ['knative/d.yaml', 'kind: D']]))).toEqual([
      'knative/d.yaml: no kustomization names it',
    ])
  })
})

const kubectl = process.env['KUBECTL'] ?? 'kubectl'
const hasKubectl = spawnSync(kubectl, ['version', '--client']).status === 0
const root = resolve(import.meta.dirname, '..')

/** Every folder of ours that kubectl can apply or a kustomization can use. */
const kustomizations = [...readRepository()]
  .filter(([path]) => path.endsWith('/kustomization.yaml'))
  .map(([path, text]) => ({ folder: dirname(path), isComponent: text.includes('kind: Component') }))

// A machine without kubectl, which is npm's only dependency besides, still has the rules above.
test.skipIf(!hasKubectl).for(kustomizations)('$folder comes to something that keeps the rules', (each) => {
  const { folder, isComponent } = each
  const local = join(root, '.local')
  mkdirSync(local, { recursive: true })
  const overlay = mkdtempSync(join(local, 'overlay-'))
  onTestFinished(() => rmSync(overlay, { recursive: true }))
  const at = (path: string) => relative(overlay, join(root, path))
  const bases = folder.endsWith('/runs') ? ['knative/runs'] : ['knative', 'eventing']
  const over = { kind: 'Kustomization', namespace: 'somewhere', resources: bases.map(at), components: [at(folder)] }
  const list = isComponent ? over : { kind: 'Kustomization', resources: [at(folder)] }
  writeFileSync(join(overlay, 'kustomization.yaml'), JSON.stringify(list))
  const { stdout, stderr } = spawnSync(kubectl, ['kustomize', overlay], { encoding: 'utf8' })
  expect(stderr).toBe('')
  const problems = hardenedManifests(new Map([['knative/rendered.yaml', stdout]]))
  const meant = [
    { by: /warm-gateway|example/, problem: /webhook-gateway: does not go to zero$/ },
    { by: /rabbitmq|example/, problem: /Namespace \S+: Pod Security is not restricted$/ },
  ]
  expect(problems.filter((each) => !meant.some(({ by, problem }) => by.test(folder) && problem.test(each)))).toEqual([])
  const rendered = parseAllDocuments(stdout).map((document) => document.toJS() as { kind: string; metadata: object })
  const outside = rendered.filter(({ kind }) => !['Namespace', 'ClusterRole', 'ClusterRoleBinding'].includes(kind))
  expect(outside.filter(({ metadata }) => !('namespace' in metadata))).toEqual([])
})
