import type { Resource } from './kubectl.ts'
import { isFunction } from './render.ts'

/** The steps of an installation, in order: each needs what the ones before made. */
export const STAGES = [
  'namespaces',
  'secrets',
  'configuration',
  'database',
  'migrations',
  'functions',
  'eventing',
] as const
export type Stage = (typeof STAGES)[number]

/** In which step an object comes. */
export function stageOf(resource: Resource): Stage {
  const { apiVersion, kind } = resource
  if (kind === 'Namespace') return 'namespaces'
  if (kind === 'Secret') return 'secrets'
  if (kind === 'StatefulSet') return 'database'
  if (kind === 'Job') return 'migrations'
  if (isFunction(resource) || kind === 'Deployment') return 'functions'
  if (/^(eventing|sources|messaging|sinks)\.knative\.dev\//.test(apiVersion)) return 'eventing'
  return 'configuration'
}

/** Why an object does not do its work yet; undefined when it does, or has none. `failed`: it never will by itself. */
export function unready({
  apiVersion,
  kind,
  metadata,
  spec,
  status,
}: Resource): { readonly why: string; readonly failed: boolean } | undefined {
  const condition = (type: string) => status?.conditions?.find((each) => each.type === type)
  if (kind === 'Job') {
    const failure = condition('Failed')
    if (failure?.status === 'True') return { why: failure.message ?? 'failed', failed: true }
    return condition('Complete')?.status === 'True' ? undefined : { why: 'still at work', failed: false }
  }
  if (kind === 'StatefulSet') {
    const wanted = Number(spec?.['replicas'] ?? 1)
    return (status?.readyReplicas ?? 0) >= wanted ? undefined : { why: 'its pod is not ready', failed: false }
  }
  if (kind === 'Deployment') {
    if (isNews(metadata, status)) return notSeen
    const wanted = Number(spec?.['replicas'] ?? 1)
    const { replicas = 0, readyReplicas = 0, updatedReplicas = 0 } = status ?? {}
    // With the old ones gone, so that nobody reaches one.
    const isDone = updatedReplicas >= wanted && readyReplicas >= wanted && replicas <= updatedReplicas
    const progress = condition('Progressing')
    return isDone
      ? undefined
      : { why: progress?.message ?? 'its pod is not ready', failed: progress?.status === 'False' }
  }
  if (!/\.knative\.dev\//.test(apiVersion) || kind.endsWith('Config')) return undefined
  if (isNews(metadata, status)) return notSeen
  const ready = condition('Ready')
  return ready?.status === 'True' ? undefined : { why: ready?.message ?? 'no condition yet', failed: false }
}

/** Its controller has not seen the newest of it. */
const isNews = (metadata: Resource['metadata'], status: Resource['status']) =>
  (status?.observedGeneration ?? 0) < (metadata.generation ?? 0)
const notSeen = { why: 'not looked at yet', failed: false } as const
