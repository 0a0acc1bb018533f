import { isDeepStrictEqual } from 'node:util'
import { keyOf, type Resource } from './kubectl.ts'

/** What becomes of an object. */
export type Change = 'created' | 'changed' | 'unchanged' | 'replaced' | 'removed'

/** An object and what becomes of it. Values of Secrets are never part of it. */
export interface Planned {
  readonly name: string
  readonly change: Change
  /** Paths below the object that differ, such as `spec.template`; of a Secret its keys. */
  readonly differs: readonly string[]
}

/** `kind name`, and the namespace where it is not the platform's. */
export function nameOf({ kind, metadata }: Pick<Resource, 'kind' | 'metadata'>, platform: string): string {
  const elsewhere =
    metadata.namespace === undefined || metadata.namespace === platform ? '' : ` (in ${metadata.namespace})`
  return `${kind} ${metadata.name}${elsewhere}`
}

/** Holds what an apply led to against what was there before. */
export function changeOf(before: Resource | undefined, after: Resource): Pick<Planned, 'change' | 'differs'> {
  if (before === undefined)
    return { change: 'created', differs: after.kind === 'Secret' ? Object.keys(after.data ?? {}) : [] }
  const differs = differences(comparable(before), comparable(after))
  return { change: differs.length === 0 ? 'unchanged' : 'changed', differs }
}

/** Objects that an older installation made and this one does not want. */
export function leftOver<T extends Pick<Resource, 'apiVersion' | 'kind' | 'metadata'>>(
  known: readonly T[],
  wanted: readonly Resource[],
): T[] {
  const keys = new Set(wanted.map(keyOf))
  return known.filter((each) => !keys.has(keyOf(each)))
}

/** Without what the API server and controllers write; Knative's webhook writes who changed a Service last. */
function comparable(resource: Resource): object {
  const { name, namespace, labels = {}, annotations = {} } = resource.metadata
  const own = Object.entries(annotations).filter(
    ([key]) => !/^serving\.knative\.dev\/(lastModifier|creator)$/.test(key),
  )
  return { ...resource, status: undefined, metadata: { name, namespace, labels, annotations: Object.fromEntries(own) } }
}

/** Paths of at most three names at which two values differ. */
function differences(one: unknown, other: unknown, path: readonly string[] = []): string[] {
  if (isDeepStrictEqual(one, other)) return []
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
  if (path.length === 3 || !isObject(one) || !isObject(other)) return [path.join('.')]
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])]
  return keys.flatMap((key) => differences(one[key], other[key], [...path, key]))
}
