import { describe, expect, test } from 'vitest'
import { contractServer, problemOf, type Says } from './testing/contract-server.ts'
import { project, PROJECT } from './testing/examples.ts'
import { fakeCluster, type Trouble } from './testing/fake-cluster.ts'
import { knCodex, kubeconfigFor, TOKEN } from './testing/kn-codex.ts'

// The built tool as a process, with a kubeconfig: through an API server's port-forward to the ingress, as from a laptop.

const tool = knCodex()

/** A cluster, the staff API behind its ingress, and the tool with a kubeconfig for both. */
async function world(says: Says, trouble: Trouble = {}, user: object = { token: TOKEN }) {
  const staff = await contractServer(says)
  const cluster = await fakeCluster(staff.port, trouble)
  const kubeconfig = kubeconfigFor(cluster.url, user)
  return { staff, cluster, codex: (...args: string[]) => tool(args, kubeconfig) }
}

const nothing: Says = { listRuns: () => ({ runs: [], next: null }) }

describe('from a laptop', () => {
  test('staff-api is reached through whatever ingress Knative has, under its own host, with the token of the kubeconfig', async () => {
    const { staff, cluster, codex } = await world(nothing)
    expect(await codex('runs', 'list')).toEqual({ code: 0, out: 'No runs found.\n', err: '' })
    expect(staff.seen).toMatchObject([
      { host: 'staff-api.codex-k8s.svc.cluster.local', authorization: `Bearer ${TOKEN}` },
    ])
    expect(cluster.seen.at(-1)).toBe('UPGRADE /api/v1/namespaces/kourier-system/pods/gateway/portforward?ports=8081')
  })

  test('many requests have a connection each', async () => {
    const { cluster, codex } = await world({
      listDeadLetters: () => ({ deadLetters: [], next: null }),
      listProjects: () => ({ projects: [project], next: null }),
    })
    expect((await codex('deadletters', 'list', '--project', 'maria/invoice-1')).code).toBe(0)
    expect(cluster.seen.filter((one) => one.startsWith('UPGRADE'))).toHaveLength(2)
  })

  test('a large answer comes whole', async () => {
    const many = Array.from({ length: 5_000 }, (_, seq) => ({
      attempt: 1,
      sequence: seq,
      kind: 'message',
      text: 'x'.repeat(500),
      at: '2026-01-01T00:00:00.000Z',
    }))
    let asked = false
    const { codex } = await world({
      getRunLogs: () => {
        const lines = asked ? [] : many
        asked = true
        return { lines, next: 'end', over: true }
      },
    })
    const { out, code } = await codex('runs', 'logs', PROJECT)
    expect(code).toBe(0)
    expect(out.split('\n')).toHaveLength(5_001)
  })

  test('a client certificate is no token, and it is said what to do', async () => {
    const { codex, staff } = await world(nothing, {}, {})
    const { code, err } = await codex('runs', 'list')
    expect(code).toBe(1)
    expect(err).toMatch(/^Error: the kubeconfig has no token for this user, .*\nUse --as-service-account NAME/)
    expect(staff.seen).toEqual([])
  })

  test('a service account gives a token for staff-api and nothing else, for ten minutes', async () => {
    const { codex, staff, cluster } = await world(nothing, {}, {})
    expect((await codex('runs', 'list', '--as-service-account', 'ops/oncall')).code).toBe(0)
    expect(cluster.tokens).toEqual([{ of: 'ops/oncall', spec: { audiences: ['codex-k8s'], expirationSeconds: 600 } }])
    expect(staff.seen).toMatchObject([{ authorization: 'Bearer made-for-oncall' }])
    expect((await codex('runs', 'list', '--as-service-account', 'oncall')).code).toBe(0)
    expect(cluster.tokens[1]).toMatchObject({ of: 'codex-k8s/oncall' })
  })

  test("a kubeconfig's exec provider is asked", async () => {
    const script = `console.log(JSON.stringify({ status: { token: '${TOKEN}-from-exec' } }))`
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: ['-e', script] }
    const { codex, staff } = await world(nothing, {}, { exec })
    expect((await codex('runs', 'list')).err).toBe('')
    expect(staff.seen).toMatchObject([{ authorization: `Bearer ${TOKEN}-from-exec` }])
  })
})

describe('what is missing is named:', () => {
  test.for([
    [
      'staff-api that is not Ready',
      { notReady: 'staff-api' },
      'staff-api in namespace codex-k8s is not ready: it crashes\nSee `kn service describe staff-api -n codex-k8s`.',
    ],
    [
      'the right to see it',
      { forbidden: /services\/staff-api/ },
      'you may not have the Knative Service codex-k8s/staff-api\n',
    ],
    [
      'a private ingress',
      { domain: 'somewhere.example.com' },
      'Knative does not say which Service its private ingress is (somewhere.example.com)\nUse --server URL',
    ],
    [
      'the right to forward ports',
      { forbidden: /portforward/ },
      'no port can be forwarded to the pod kourier-system/gateway: Unexpected server response: 403\nIt takes the right',
    ],
  ] as const)('%s', async ([, trouble, says]) => {
    const { codex } = await world(nothing, trouble)
    const { code, err } = await codex('runs', 'list')
    expect(err).toContain(`Error: ${says}`)
    expect(code).toBe(1)
  })

  test('an installation in this namespace', async () => {
    const { codex } = await world(nothing)
    const { err } = await codex('runs', 'list', '-n', 'elsewhere')
    expect(err).toMatch(/^Error: the Knative Service elsewhere\/staff-api is not in the cluster\n/)
  })

  test('a cluster that answers', async () => {
    const { err, code } = await tool(['runs', 'list'])
    expect(err).toMatch(
      /^Error: the cluster cannot be asked for the Knative Service codex-k8s\/staff-api: .*ECONNREFUSED/,
    )
    expect(code).toBe(1)
  })

  test('a context of the kubeconfig', async () => {
    const { err } = await tool(['runs', 'list', '--context', 'prod'])
    expect(err).toMatch(/^Error: context "prod" is not in the kubeconfig\n/)
  })
})

describe('project add', () => {
  const waiting = { ...project, state: 'disconnected' as const, hook: { ...project.hook!, state: 'waiting' as const } }
  const key = project.hook!.secretName

  test('writes a fresh secret with the rights of the person, shows it to nobody, and waits until it is seen', async () => {
    let tries = 0
    const { codex, cluster, staff } = await world({
      addProject: () => ({ project: waiting, changed: true }),
      connectProject: () =>
        (tries += 1) < 3
          ? problemOf(503, 'secret_not_visible', 'The secret is not there yet', undefined, { 'retry-after': '0' })
          : { project, changed: true },
    })
    const { code, out, err } = await codex('project', 'add', 'maria/invoice-1', '--max-active', '3', '--log-http')
    expect(code).toBe(0)
    expect(out).toBe("Project 'maria/invoice-1' connected. To see it work: kn codex project ping maria/invoice-1\n")
    expect(err).toContain('Waiting for Kubernetes to show the secret')
    const secret = Buffer.from(cluster.hooks?.data?.[key] ?? '', 'base64').toString()
    expect(secret).toMatch(/^[0-9a-f]{64}$/)
    expect(out + err + JSON.stringify(staff.seen)).not.toContain(secret)
    expect(staff.seen.map(({ id }) => id)).toEqual(['addProject', 'connectProject', 'connectProject', 'connectProject'])
    expect(staff.seen[0]?.body).toEqual({ repository: 'maria/invoice-1', maxActive: 3 })
    // Nobody read a secret on the way.
    expect(cluster.seen.filter((one) => /GET .*secrets/.test(one))).toEqual([])
  })

  test('leaves a secret that is there as it is, and the other keys alone', async () => {
    const { codex, cluster } = await world({
      addProject: () => ({ project: waiting, changed: false }),
      connectProject: () => ({ project, changed: true }),
    })
    cluster.hooks = { data: { [key]: 'bWluZQ==', other: 'eA==' } }
    expect((await codex('project', 'add', 'maria/invoice-1')).code).toBe(0)
    expect(cluster.hooks).toEqual({ data: { [key]: 'bWluZQ==', other: 'eA==' } })
  })

  test('of what is connected changes nothing', async () => {
    const { codex, cluster } = await world({
      addProject: () => ({ project, changed: false }),
      connectProject: () => ({ project, changed: false }),
    })
    expect((await codex('project', 'add', 'maria/invoice-1')).out).toBe(
      "Project 'maria/invoice-1' was connected before.\n",
    )
    expect(cluster.hooks).toEqual({})
  })

  test('without the right to write the secret stops there and says so', async () => {
    const { codex, staff } = await world(
      { addProject: () => ({ project: waiting, changed: true }) },
      { forbidden: /secrets/ },
    )
    const { code, err } = await codex('project', 'add', 'maria/invoice-1')
    expect(err).toMatch(/^Error: you may not have the right to write the Secret codex-k8s\/codex-k8s-hooks\n/)
    expect(code).toBe(1)
    expect(staff.seen.map(({ id }) => id)).toEqual(['addProject'])
  })
})

test('project remove takes the key of the secret away', async () => {
  const { codex, cluster } = await world({
    listProjects: () => ({ projects: [project], next: null }),
    removeProject: () => ({ project: { ...project, state: 'disconnected' }, changed: true }),
  })
  cluster.hooks = { data: { [project.hook!.secretName]: 'eA==', other: 'eA==' } }
  expect((await codex('project', 'remove', 'maria/invoice-1')).out).toBe("Project 'maria/invoice-1' disconnected.\n")
  expect(cluster.hooks).toEqual({ data: { other: 'eA==' } })
})

describe('doctor', () => {
  const me = { user: 'ada', groups: [], roles: [] }
  const checks = (status: 'ok' | 'failed') => ({
    at: '2026-01-01T00:00:00.000Z',
    checks: [
      { name: 'ledger' as const, status, says: `it is ${status}`, next: status === 'ok' ? null : 'Read its log.' },
    ],
  })

  test('says that all is well, from cluster to ledger', async () => {
    const { codex } = await world({ whoami: () => me, getChecks: () => checks('ok') })
    const { code, out, err } = await codex('doctor')
    expect(out).toBe(`CHECK       STATUS   SAYS
functions   ok       2 ready
broker      ok       1 ready
triggers    ok       1 ready
clock       ok       1 ready
staff-api   ok       answers; you are ada
ledger      ok       it is ok
`)
    expect({ code, err }).toEqual({ code: 0, err: '' })
  })

  test('has the mend for each finding', async () => {
    const { codex } = await world({ whoami: () => me, getChecks: () => checks('failed') }, { notReady: 'label-router' })
    const { code, out, err } = await codex('doctor')
    expect(out).toContain('functions   failed   label-router: it crashes\n')
    expect(out).toContain('\nWhat to do:\n  functions: See `kn service list -n codex-k8s`.\n  ledger: Read its log.\n')
    expect(err).toBe('Error: 2 of 6 checks failed\n')
    expect(code).toBe(1)
  })

  test('finds that staff-api cannot be asked', async () => {
    const { codex } = await world({}, { notReady: 'staff-api' })
    const { code, out } = await codex('doctor')
    expect(out).toContain('staff-api   failed   staff-api in namespace codex-k8s is not ready: it crashes\n')
    expect(code).toBe(1)
  })

  test('knows what it may not see', async () => {
    const { codex } = await world({ whoami: () => me, getChecks: () => checks('ok') }, { forbidden: /brokers/ })
    const { code, out } = await codex('doctor', '-o', 'json')
    expect(code).toBe(0)
    expect(JSON.parse(out).items[1]).toEqual({
      name: 'broker',
      status: 'unknown',
      says: 'you may not have list of brokers in codex-k8s',
      next: '/apis/eventing.knative.dev/v1/namespaces/codex-k8s/brokers is forbidden: User "me" cannot do that',
    })
  })

  test('follows a ping to the ledger', async () => {
    const states = ['waiting', 'sent', 'in_ledger'] as const
    let at = 0
    const { codex } = await world({
      whoami: () => me,
      getChecks: () => checks('ok'),
      listProjects: () => ({ projects: [project], next: null }),
      pingProject: () => ({ askedAt: '2026-01-01T00:00:00.000Z' }),
      getPing: () => ({ state: states[at++]!, receivedAt: null, event: null, ledger: { seq: 5, hash: 'x' } }),
    })
    const { out, code } = await codex('doctor', '--ping', 'maria/invoice-1')
    expect(out).toMatch(/^ping +ok +The ping is in the ledger as entry 5, after \d+\.\d s\.$/m)
    expect(code).toBe(0)
  })

  test('says where a ping stopped', async () => {
    const { codex } = await world({
      pingProject: () => ({ askedAt: '2026-01-01T00:00:00.000Z' }),
      getPing: () => ({ state: 'received', receivedAt: null, event: null, ledger: null }),
      listProjects: () => ({ projects: [project], next: null }),
    })
    const { err, code } = await codex('project', 'ping', 'maria/invoice-1', '--wait-timeout', '0')
    expect(err).toMatch(/webhook-gateway has stored it, and the broker does not have it\.\nSee `kubectl get broker`/)
    expect(code).toBe(1)
  })
})
