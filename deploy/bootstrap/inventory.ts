import { apply, getAll, keyOf, type Kubectl, type Resource } from './kubectl.ts'
import { OWNER_LABEL } from './render.ts'

/** An object that the installer made, by name. */
export type Made = Pick<Resource, 'apiVersion' | 'kind' | 'metadata'>

const NAME = 'codex-k8s-installation'

/** What an installation knows of itself. */
export interface Inventory {
  /** Everything that was made so far. */
  readonly made: readonly Made[]
  /** Image of the program of Jobs that do what no function does; empty before there was one. */
  readonly setupImage: string
}

/** Read before anything is pruned or taken back. */
export async function readInventory(kubectl: Kubectl, namespace: string): Promise<Inventory> {
  const [found] = await getAll(kubectl, [emptyInventory(namespace)])
  const { objects = '[]', setupImage = '' } = found?.data ?? {}
  return { made: JSON.parse(objects) as Made[], setupImage }
}

/** Written before the objects are: whatever comes in between, nothing is made that is not in it. */
export async function writeInventory(kubectl: Kubectl, namespace: string, written: Inventory): Promise<void> {
  await apply(kubectl, [inventory(namespace, written)])
}

/** Of those, the ones that are there and carry our label: nothing else is ever deleted, whatever the list says. */
export async function ours(kubectl: Kubectl, namespace: string, made: readonly Made[]): Promise<Resource[]> {
  const live = await getAll(kubectl, made as readonly Resource[])
  return live.filter(({ metadata }) => metadata.labels?.[OWNER_LABEL] === namespace)
}

/** Both lists, each object once, in an order that is always the same. */
export function union(...lists: readonly (readonly Made[])[]): Made[] {
  const all = new Map(lists.flat().map((each) => [keyOf(each), short(each)]))
  return [...all].toSorted(([one], [other]) => (one < other ? -1 : 1)).map(([, made]) => made)
}

/** The object that holds it, as there was nothing yet. */
export const emptyInventory = (namespace: string): Resource => inventory(namespace, { made: [], setupImage: '' })

function inventory(namespace: string, { made, setupImage }: Inventory): Resource {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: NAME, namespace, labels: { [OWNER_LABEL]: namespace, 'app.kubernetes.io/part-of': 'codex-k8s' } },
    data: { objects: JSON.stringify(union(made)), setupImage },
  }
}

const short = ({ apiVersion, kind, metadata: { name, namespace } }: Made): Made => ({
  apiVersion,
  kind,
  metadata: { name, ...(namespace !== undefined && { namespace }) },
})
