import { expect, test } from 'vitest'
import { judge } from './checks.ts'
import { parseConfig } from './config.ts'
import { rightsFor, type Facts } from './facts.ts'

const good: Facts = {
  kubectl: 'v1.34.2',
  server: 'v1.34.1+k3s1',
  serving: '1.23.0',
  eventing: '1.23.1',
  ingressClass: 'kourier.ingress.networking.knative.dev',
  hasBrokerClass: true,
  liveBrokerClass: undefined,
  storageClasses: [{ name: 'standard', isDefault: true }],
  foreignNamespaces: [],
  denied: [],
  images: { file: 'dist/images.json', missing: [] },
}
const forge = { token: { env: 'TOKEN' } }
const own = parseConfig({ database: { ownerUrl: { env: 'OWNER' } }, forge, publicUrl: 'https://hooks.example' })
const trial = (more: object = {}) => parseConfig({ database: { trial: more }, forge })
const failing = (facts: Partial<Facts>, config = own) =>
  judge({ ...good, ...facts }, config).filter(({ level }) => level === 'fails')

test('a cluster with everything passes, and what cannot be known is told', () => {
  expect(failing({})).toEqual([])
  expect(judge(good, own).filter(({ level }) => level === 'told')).toMatchObject([
    { what: expect.stringContaining('in-memory channel') },
    { what: expect.stringContaining('NetworkPolicies') },
  ])
})

test('each thing that is missing is named with what to do, all of them at once', () => {
  const cases: readonly [facts: Partial<Facts>, what: RegExp, mend: RegExp][] = [
    [{ kubectl: 'v1.28.0' }, /kubectl v1.28.0 is older/, /newer kubectl/],
    [{ server: 'v1.29.9-gke.1' }, /Kubernetes v1.29.9-gke.1 is older/, /newer cluster/],
    [{ serving: undefined }, /Serving is not installed/, /serving-crds.yaml.*net-kourier/],
    [{ eventing: undefined }, /Eventing is not installed/, /eventing-core.yaml.*mt-channel-broker.yaml/],
    [{ serving: '1.9.0' }, /Serving 1.9.0 is older/, /upgrade/],
    [{ hasBrokerClass: false }, /MTChannelBasedBroker is not installed/, /mt-channel-broker/],
    [{ liveBrokerClass: 'Kafka' }, /of class Kafka/, /uninstall/],
    [{ denied: ['create jobs.batch in x'] }, /may not create jobs.batch in x/, /kubeconfig/],
    [{ images: { file: 'f', missing: ['codex-k8s/setup'] } }, /f has no codex-k8s\/setup/, /npm run images/],
  ]
  for (const [facts, what, mend] of cases)
    expect(failing(facts)).toMatchObject([{ what: expect.stringMatching(what), mend: expect.stringMatching(mend) }])
  expect(failing(Object.assign({}, ...cases.map(([facts]) => facts)) as Partial<Facts>)).toHaveLength(6)
})

test('a trial wants a storage class, and another database does not', () => {
  const none = { storageClasses: [{ name: 'slow', isDefault: false }] }
  expect(failing(none)).toEqual([])
  expect(failing(none, trial())).toMatchObject([{ mend: expect.stringContaining('there are: slow') }])
  expect(failing(none, trial({ storageClass: 'slow' }))).toEqual([])
  expect(failing(none, trial({ storageClass: 'fast' }))).toHaveLength(1)
})

test('versions that say nothing and namespaces of others are told and stop nothing', () => {
  const facts = {
    serving: 'devel',
    foreignNamespaces: [
      { name: 'codex-k8s', enforces: undefined, runsOf: undefined },
      { name: 'runs', enforces: 'restricted', runsOf: undefined },
    ],
  }
  expect(failing(facts)).toEqual([])
  const said = judge({ ...good, ...facts }, own).map(({ level, what }) => `${level} ${what}`)
  expect(said).toContainEqual(expect.stringMatching(/^told Knative Serving devel/))
  expect(said).toContainEqual(expect.stringMatching(/^told namespace codex-k8s is somebody else's/))
  expect(said).toContainEqual(expect.stringMatching(/^ok namespace runs/))
})

test('a run namespace of somebody else has to say whose runs it has, where something goes by that', () => {
  const wanting = (features: readonly string[]) =>
    parseConfig({ namespace: 'p', runNamespaces: ['runs'], database: { ownerUrl: { env: 'OWNER' } }, forge, features })
  const facts = (runsOf: string | undefined) => ({
    foreignNamespaces: [{ name: 'runs', enforces: 'restricted', runsOf }],
  })
  const mend = 'kubectl label namespace runs codex-k8s.dev/runs-of=p'
  for (const feature of ['run-door', 'jobs-watch']) {
    expect(failing(facts(undefined), wanting([feature]))).toMatchObject([{ mend }])
    expect(failing(facts('other'), wanting([feature]))).toMatchObject([{ mend }])
    expect(failing(facts('p'), wanting([feature]))).toEqual([])
  }
  expect(failing(facts(undefined), wanting(['warm-gateway']))).toEqual([])
})

test('rights are asked for by kind and namespace, once', () => {
  const object = (apiVersion: string, kind: string, name: string) => ({
    apiVersion,
    kind,
    metadata: { name, namespace: 'p' },
  })
  const rights = rightsFor(
    [
      object('networking.k8s.io/v1', 'NetworkPolicy', 'a'),
      object('networking.k8s.io/v1', 'NetworkPolicy', 'b'),
      object('v1', 'Secret', 'c'),
    ],
    'p',
  )
  const named = rights.map(({ verb, group, resource }) => `${verb} ${resource}${group && `.${group}`}`)
  expect(named).toEqual([
    ...['get', 'create', 'patch', 'delete'].map((verb) => `${verb} networkpolicies.networking.k8s.io`),
    ...['get', 'create', 'patch', 'delete'].map((verb) => `${verb} secrets`),
    'list pods',
    'get pods/log',
  ])
})
