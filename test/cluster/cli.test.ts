import { KubeConfig } from '@kubernetes/client-node'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { removeHookSecret, writeHookSecret } from '../../cli/hook-secret.ts'
import { bundleCommandLine } from '../../deploy/bundle-command-line.ts'
import { eventually } from '../support/wait.ts'
import { load } from './images.ts'
import { kubectl, list, notReady } from './kubectl.ts'

// kn finds the plugin, and the plugin finds its way: through the cluster's own ingress to a staff-api that is at zero, with a
// token that a real TokenReview takes. KN: default `kn` on PATH.

const NAMESPACE = 'codex-k8s-cli'
const standIn = join(import.meta.dirname, 'staff-api-stand-in')
const tag = createHash('sha256')
  .update(readFileSync(join(standIn, 'main.js')))
  .digest('hex')
  .slice(0, 12)
const IMAGE = `${process.env['IMAGE_PREFIX'] ?? 'dev.local'}/staff-api-stand-in:${tag}`
const folder = mkdtempSync(join(tmpdir(), 'kn-codex-'))

beforeAll(async () => {
  await remove()
  await bundleCommandLine(join(folder, 'kn-codex'))
  await load([IMAGE, standIn, '["node","/app/main.js"]'])
  await kubectl(
    ['apply', '--server-side', '--filename', '-'],
    objects()
      .map((one) => JSON.stringify(one))
      .join('\n---\n'),
  )
  const isReady = async () => {
    const services = await list('ksvc', NAMESPACE)
    return services.length === 1 && notReady(services).length === 0
  }
  await eventually(isReady, { what: 'staff-api to be ready', timeoutMs: 120_000, everyMs: 500 })
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await remove()
})

test('kn lists the plugin and runs it', async () => {
  expect((await kn('plugin', 'list')).out).toContain(`- kn-codex : ${join(folder, 'kn-codex')}`)
  expect((await kn('codex', 'version')).out).toMatch(/^Version: +\d/)
  expect(await kn('codex', 'runs', 'stop')).toEqual({
    code: 1,
    out: '',
    err: expect.stringContaining("Error: unknown sub-command 'stop' for 'kn codex runs'."),
  })
})

test('staff-api is woken through the ingress and knows the person by a token that is good for nothing else', async () => {
  const pods = () => list('pods', NAMESPACE)
  await eventually(async () => (await pods()).length === 0, {
    what: 'staff-api to be at zero',
    timeoutMs: 240_000,
    everyMs: 500,
  })
  const { out, err } = await kn('codex', 'whoami', '-n', NAMESPACE, '--as-service-account', 'oncall', '-o', 'json')
  expect(err).toBe('')
  expect(JSON.parse(out)).toMatchObject({
    user: `system:serviceaccount:${NAMESPACE}:oncall`,
    groups: expect.arrayContaining([`system:serviceaccounts:${NAMESPACE}`]),
  })
})

test("a hook's secret is written once, beside the others, and taken away", async () => {
  const config = new KubeConfig()
  config.loadFromDefault()
  const keys = async () => {
    const secret = JSON.parse(
      await kubectl(['get', 'secret', 'codex-k8s-hooks', '--namespace', NAMESPACE, '--output', 'json']),
    ) as { data?: Record<string, string> }
    return secret.data ?? {}
  }
  await writeHookSecret(config, NAMESPACE, 'hook-a')
  const { 'hook-a': first } = await keys()
  expect(Buffer.from(first ?? '', 'base64').toString()).toMatch(/^[0-9a-f]{64}$/)
  await writeHookSecret(config, NAMESPACE, 'hook-a')
  await writeHookSecret(config, NAMESPACE, 'hook-b')
  expect(await keys()).toEqual({ 'hook-a': first, 'hook-b': expect.not.stringMatching(first ?? '') })
  expect(await removeHookSecret(config, NAMESPACE, 'hook-a')).toBe(true)
  expect(await removeHookSecret(config, NAMESPACE, 'hook-a')).toBe(true)
  expect(Object.keys(await keys())).toEqual(['hook-b'])
})

async function remove(): Promise<void> {
  await kubectl(['delete', 'clusterrolebinding', NAMESPACE, '--ignore-not-found'])
  await kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout', '180s'])
}

/** Runs kn where it finds the plugin, and nothing of the machine's own configuration. */
async function kn(...args: readonly string[]) {
  const path = [folder, dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter)
  const child = spawn(process.env['KN'] ?? 'kn', args, {
    env: { PATH: path, HOME: folder, KUBECONFIG: process.env['KUBECONFIG'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code: child.exitCode, out, err }
}

function objects(): object[] {
  const metadata = (name: string, labels = {}) => ({ name, namespace: NAMESPACE, labels })
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata('oncall') },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata('staff-api') },
    { apiVersion: 'v1', kind: 'Secret', metadata: metadata('codex-k8s-hooks') },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: NAMESPACE },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:auth-delegator' },
      subjects: [{ kind: 'ServiceAccount', name: 'staff-api', namespace: NAMESPACE }],
    },
    {
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Service',
      metadata: metadata('staff-api', { 'networking.knative.dev/visibility': 'cluster-local' }),
      spec: {
        template: {
          spec: {
            serviceAccountName: 'staff-api',
            timeoutSeconds: 30,
            containers: [
              {
                image: IMAGE,
                // The API server's certificate is the cluster's own.
                env: [{ name: 'NODE_EXTRA_CA_CERTS', value: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt' }],
              },
            ],
          },
        },
      },
    },
  ]
}
