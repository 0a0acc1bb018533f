import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { connect, type Db } from '#shared/db/connect.ts'
import { HOOK_EVENTS } from '#shared/forge/github/hooks.ts'
import { startForge, type RunningForge } from '../../deploy/local/forge/server.ts'
import { startPostgres } from '../../deploy/local/postgres.ts'
import { freePort, hostAddress } from './host.ts'
import { kubectl, list, type Resource } from './kubectl.ts'

// One installation from nothing to nothing, by the command as a person calls it. Each test goes on where the one before ended.

const NAMESPACE = 'codex-k8s-bootstrap'
const FOREIGN = 'codex-k8s-bootstrap-foreign'
const RUNS = ['codex-k8s-bootstrap-runs', FOREIGN]
const REPOSITORY = 'alice/calc'
const FORGE_TOKEN = 'canary-forge-token'
const MODEL_KEY = 'canary-model-key'
const STEPS = ['namespaces', 'secrets', 'configuration', 'migrations', 'functions', 'eventing', 'self-test']

let folder: string
let forge: RunningForge
let postgres: Awaited<ReturnType<typeof startPostgres>>
let db: Db
let ownerUrl: string

beforeAll(async () => {
  for (const name of [NAMESPACE, ...RUNS])
    await kubectl(['delete', 'namespace', name, '--ignore-not-found', '--timeout', '300s'])
  folder = mkdtempSync(join(tmpdir(), 'codex-k8s-bootstrap-'))
  chmodSync(folder, 0o755)
  const host = await hostAddress()
  const access = join(folder, 'pg_hba.conf')
  writeFileSync(access, 'host all all all scram-sha-256\n')
  postgres = await startPostgres({
    dataDir: join(folder, 'database'),
    durable: false,
    settings: { listen_addresses: `127.0.0.1,${host}`, hba_file: access, max_connections: '200' },
  })
  ownerUrl = postgres.url.replace('@127.0.0.1:', `@${host}:`)
  db = connect(postgres.url, { name: 'bootstrap-test' })
  const port = await freePort(host)
  forge = await startForge({
    data: join(folder, 'forge'),
    host,
    port,
    publicUrl: `http://${host}:${port}`,
    seed: {
      users: [
        { login: 'alice', token: 'token-alice' },
        { login: 'codex-bot', token: FORGE_TOKEN },
      ],
      repos: [
        { owner: 'alice', name: 'calc', files: { 'add.js': 'a - b\n' }, collaborators: { 'codex-bot': 'admin' } },
      ],
    },
  })
  // Nothing here starts an agent.
  const agent = { name: 'codex-k8s/agent', newName: 'dev.local/agent', newTag: 'none' }
  const images = [...inject('installed').images.filter(({ name }) => name !== agent.name), agent]
  writeFileSync(join(folder, 'images.json'), JSON.stringify(images))
  // One run namespace is somebody else's.
  await kubectl(['create', 'namespace', FOREIGN])
  // What only an overlay makes, and what is somebody else's although the inventory will name it.
  mkdirSync(join(folder, 'extra'))
  const kustomization = { apiVersion: 'kustomize.config.k8s.io/v1alpha1', kind: 'Component', resources: ['extra.yaml'] }
  writeFileSync(join(folder, 'extra', 'kustomization.yaml'), JSON.stringify(kustomization))
  const extra = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'extra' }, data: {} }
  writeFileSync(join(folder, 'extra', 'extra.yaml'), JSON.stringify(extra))
  configure({ overlays: ['extra'] })
  // A kubectl that writes down what it is called with.
  mkdirSync(join(folder, 'bin'))
  const real = process.env['KUBECTL'] ?? 'kubectl'
  writeFileSync(
    join(folder, 'bin', 'kubectl'),
    `#!/bin/sh\nprintf '%s\\n' "$*" >> ${join(folder, 'calls')}\nexec ${real} "$@"\n`,
    { mode: 0o755 },
  )
})

afterAll(async () => {
  await bootstrap(['uninstall', '--yes', '--with-data']).catch(() => {})
  await kubectl(['delete', 'namespace', FOREIGN, '--ignore-not-found', '--timeout', '120s'])
  await db?.destroy()
  await forge?.close()
  await postgres?.stop()
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
})

function configure(more: object): void {
  const config = {
    namespace: NAMESPACE,
    runNamespaces: RUNS,
    images: { file: 'images.json', pin: 'tag' },
    database: { ownerUrl: { env: 'OWNER_URL' } },
    forge: { apiUrl: forge.url, gitUrl: forge.url, token: { env: 'FORGE_TOKEN' } },
    model: { key: { env: 'MODEL_KEY' } },
    ...more,
  }
  writeFileSync(join(folder, 'codex-k8s.yaml'), JSON.stringify(config))
}

/** The command as a process of its own. `killAt`: SIGKILL to it and its children when a line says that. */
async function bootstrap(args: readonly string[], { killAt, env = {} }: { killAt?: string; env?: object } = {}) {
  const script = join(import.meta.dirname, '..', '..', 'deploy', 'bootstrap', 'main.ts')
  const child = spawn(process.execPath, [script, ...args, '--config', join(folder, 'codex-k8s.yaml')], {
    env: {
      ...process.env,
      KUBECTL: join(folder, 'bin', 'kubectl'),
      OWNER_URL: ownerUrl,
      FORGE_TOKEN,
      MODEL_KEY,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      if (line === killAt) process.kill(-(child.pid ?? 0), 'SIGKILL')
    })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, lines, text: lines.join('\n') }
}

/** Everything of the installation, as the API server has it. */
async function everything(): Promise<Resource[]> {
  const kinds =
    'configmap,secret,serviceaccount,role,rolebinding,networkpolicy,resourcequota,limitrange,job,ksvc,broker,trigger,pingsource'
  const found = await Promise.all([NAMESPACE, ...RUNS].map((name) => list(kinds, name)))
  return found.flat().filter(({ metadata }) => !/^(kube-root-ca.crt|default)$/.test(metadata.name))
}

async function versions(): Promise<string[]> {
  const all = (await everything()) as {
    kind: string
    metadata: { name: string; generation?: number; resourceVersion?: string }
  }[]
  return all.map(({ kind, metadata }) => {
    // Controllers write the status of these; what they are asked for has the generation.
    const isWatched = metadata.generation !== undefined || kind === 'ResourceQuota'
    return `${kind} ${metadata.name} ${isWatched ? metadata.generation : metadata.resourceVersion}`
  })
}

test('a plan for an empty cluster names everything and makes nothing', async () => {
  const { code, text } = await bootstrap(['install', '--dry-run'])
  expect(text).toContain('Secret codex-k8s-database created')
  expect(text).toContain('Job migrate created')
  expect(text).toContain(`namespace ${FOREIGN} is somebody else's`)
  expect(code).toBe(0)
  configure({ overlays: ['extra'], database: { trial: {} } })
  const trial = await bootstrap(['install', '--dry-run'])
  expect(trial.text).toMatch(/Secret codex-k8s-postgres created[^]*StatefulSet postgres created/)
  expect(trial.code).toBe(0)
  configure({ overlays: ['extra'] })
  const namespaces = (await list('namespaces')).map(({ metadata }) => metadata.name)
  expect(namespaces).not.toContain(NAMESPACE)
})

test('what the configuration lacks is said before anything is made', async () => {
  const { code, text } = await bootstrap(['install'], { env: { FORGE_TOKEN: '' } })
  expect(text).toMatch(/forge.token: the environment variable FORGE_TOKEN is empty/)
  expect(code).toBe(1)
})

test('killed in each step, it goes on where it was and ends with a ping in the ledger', async () => {
  for (const step of STEPS) expect((await bootstrap(['install'], { killAt: `${step} ...` })).code).toBeNull()
  const { code, text } = await bootstrap(['install'])
  expect(text).toMatch(/in the ledger \d+ ms/)
  expect(code).toBe(0)
  expect(await db.selectFrom('ledger').select('seq').execute()).not.toEqual([])
}, 600_000)

test('the second run changes nothing, and says so of each object', async () => {
  const before = await versions()
  const { code, lines } = await bootstrap(['upgrade'])
  expect(lines.filter((line) => / (created|changed|replaced|removed)\b/.test(line))).toEqual([])
  expect(lines.filter((line) => line.endsWith(' unchanged')).length).toBeGreaterThan(70)
  expect(code).toBe(0)
  expect(await versions()).toEqual(before)
})

test('a repository is connected, and adopted when it is connected again', async () => {
  const alice = async (path: string) =>
    (await fetch(`${forge.url}${path}`, { headers: { authorization: 'Bearer token-alice' } })).json() as Promise<
      { config: { url: string }; events: string[] }[]
    >
  const first = await bootstrap(['connect', REPOSITORY])
  expect(first.text).toMatch(/project alice\/calc connected[^]*webhook .* created[^]*labels \d+ created/)
  const second = await bootstrap(['connect', REPOSITORY])
  expect(second.text).toMatch(/project alice\/calc unchanged[^]*webhook .* adopted[^]*labels 0 created/)
  const hooks = await alice(`/repos/${REPOSITORY}/hooks`)
  const { id } = await db.selectFrom('hooks').select('id').where('project_id', 'is not', null).executeTakeFirstOrThrow()
  expect(hooks).toMatchObject([
    { config: { url: expect.stringMatching(new RegExp(`/hooks/github/${id}$`)) }, events: HOOK_EVENTS },
  ])
  expect(await alice(`/repos/${REPOSITORY}/labels?per_page=100`)).toContainEqual(
    expect.objectContaining({ name: 'run:dev' }),
  )
  const unknown = await bootstrap(['connect', 'alice/nothing'])
  expect(unknown).toMatchObject({ code: 1, text: expect.stringMatching(/give the machine user access/) })
})

test('a changed setting is a new revision, what is not wanted any more goes, and what is not ours stays', async () => {
  const [inventory] = await list('configmap', NAMESPACE, '--field-selector', 'metadata.name=codex-k8s-installation')
  const { objects = '[]' } = (inventory as { data?: { objects?: string } } | undefined)?.data ?? {}
  const named = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'theirs', namespace: NAMESPACE } }
  await kubectl(['create', 'configmap', 'theirs', '--namespace', NAMESPACE])
  const data = { objects: JSON.stringify([...(JSON.parse(objects) as object[]), named]) }
  await kubectl([
    'patch',
    'configmap',
    'codex-k8s-installation',
    '--namespace',
    NAMESPACE,
    '--patch',
    JSON.stringify({ data }),
  ])

  configure({ logLevel: 'debug', runNamespaces: RUNS.slice(0, 1) })
  const plan = await bootstrap(['upgrade', '--dry-run'])
  expect(plan.text).toContain('ConfigMap codex-k8s changed')
  const { code, text } = await bootstrap(['upgrade'])
  expect(text).toMatch(/ConfigMap codex-k8s changed: .*data.logLevel/)
  expect(text).toMatch(/Service label-router changed: spec.template/)
  expect(text).toContain('ConfigMap extra removed')
  expect(text).toContain(`run namespace ${FOREIGN} is not wanted any more and stays`)
  expect(code).toBe(0)
  const left = (await list('configmap', NAMESPACE)).map(({ metadata }) => metadata.name)
  expect(left).toContain('theirs')
  expect((await list('rolebinding', FOREIGN)).map(({ metadata }) => metadata.name)).toEqual(['stage-dispatcher'])
})

test('no secret is in an argument, an output, an annotation or another object than its Secret', async () => {
  const password = new URL(ownerUrl).password
  const secrets = [FORGE_TOKEN, MODEL_KEY, password]
  const others = (await everything()).filter(({ kind }) => kind !== 'Secret')
  const annotations = (await everything()).map(({ metadata }) => (metadata as { annotations?: object }).annotations)
  const seen = readFileSync(join(folder, 'calls'), 'utf8') + JSON.stringify([others, annotations])
  for (const secret of secrets) expect(seen.includes(secret)).toBe(false)
  const { text } = await bootstrap(['upgrade', '--dry-run'])
  for (const secret of secrets) expect(text.includes(secret)).toBe(false)
})

test('uninstall wants a word, then takes everything back, the webhook too, and can be repeated', async () => {
  expect(await bootstrap(['uninstall'])).toMatchObject({ code: 2, text: expect.stringContaining('say --yes') })
  await bootstrap(['uninstall', '--yes'], { killAt: 'functions ...' })
  const { code, text } = await bootstrap(['uninstall', '--yes'])
  expect(text).toContain('nothing is left')
  expect(code).toBe(0)
  const namespaces = (await list('namespaces')).map(({ metadata }) => metadata.name)
  expect(namespaces.filter((name) => [NAMESPACE, ...RUNS].includes(name))).toEqual([FOREIGN])
  expect(await list('rolebinding,role,networkpolicy,resourcequota,limitrange', FOREIGN)).toEqual([])
  const hooks = await fetch(`${forge.url}/repos/${REPOSITORY}/hooks`, {
    headers: { authorization: 'Bearer token-alice' },
  })
  expect(await hooks.json()).toEqual([])
  expect((await bootstrap(['uninstall', '--yes'])).text).toContain(`nothing is installed in ${NAMESPACE}`)
  // Its database is somebody's own.
  expect(await db.selectFrom('projects').select('state').execute()).toEqual([{ state: 'disconnected' }])
}, 600_000)
