import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readRepository } from '../support/repository.ts'
import { kubectl, type Resource } from './kubectl.ts'
import { kustomized } from './kustomized.ts'
import { apply, NAMESPACE } from './platform.ts'

const SPACE = `${NAMESPACE}-overlays`
const folder = mkdtempSync(join(tmpdir(), 'codex-k8s-overlays-'))
const isFirst = ({ kind }: Resource) => ['Namespace', 'ServiceAccount', 'ConfigMap', 'Secret'].includes(kind)

/** What an overlay adds to the platform or to a run namespace, and what is applied by itself. */
const components = [...readRepository()]
  .filter(([path, text]) => path.endsWith('/kustomization.yaml') && text.includes('kind: Component'))
  .map(([path]) => dirname(path))
const wholes = ['knative/migrate', 'knative/runs', 'eventing', 'knative']

let known: ReadonlySet<string>

beforeAll(async () => {
  await kubectl(['delete', 'namespace', SPACE, '--ignore-not-found', '--timeout', '120s'])
  const resources = await kubectl(['api-resources', '--no-headers', '--output', 'wide'])
  known = new Set(resources.split('\n').map((line) => / (?:true|false) +(\w+) /.exec(line)?.[1] ?? ''))
  // Knative's webhook tries a pod of each Service in its namespace: what that needs comes first.
  const base = await kustomized(join(folder, 'base'), { namespace: SPACE, resources: ['knative'] })
  await apply(base.filter(isFirst))
})

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await kubectl(['delete', 'namespace', SPACE, '--ignore-not-found', '--timeout', '120s'])
})

test.each([...components, ...wholes])('%s is taken by the API server, with unknown fields refused', async (path) => {
  const isRuns = path.endsWith('/runs')
  const bases = isRuns ? ['knative/runs'] : ['knative', 'eventing']
  const isWhole = wholes.includes(path)
  const parts = isWhole ? { resources: [path] } : { resources: bases, components: [path] }
  const rendered = await kustomized(join(folder, path.replaceAll('/', '-')), { namespace: SPACE, ...parts })
  // What another operator brings is not there on every cluster.
  const foreign = ['ScrapeConfig', 'PrometheusRule', 'RabbitmqBrokerConfig'].filter((kind) => !known.has(kind))
  const taken = rendered.filter(({ kind }) => !foreign.includes(kind))
  const said = await apply(taken, '--dry-run=server')
  expect(said.trim().split('\n')).toHaveLength(taken.length)
})
