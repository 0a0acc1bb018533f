import type { Config } from './config.ts'
import { ours, readInventory, union, writeInventory } from './inventory.ts'
import { type Kubectl, type Resource } from './kubectl.ts'
import type { Output } from './output.ts'
import { leftOver, nameOf } from './plan.ts'
import { remove } from './remove.ts'

/** What an older version or configuration made and this one does not. */
export async function leftovers(
  kubectl: Kubectl,
  { namespace, runNamespaces }: Config,
  wanted: readonly Resource[],
): Promise<{ readonly going: Resource[]; readonly staying: Resource[]; readonly stayingIn: string[] }> {
  const { made } = await readInventory(kubectl, namespace)
  const old = await ours(kubectl, namespace, leftOver(made, wanted))
  const homeOf = ({ kind, metadata }: Resource) => (kind === 'Namespace' ? metadata.name : metadata.namespace)
  const isStaying = (each: Resource) => ![namespace, undefined, ...runNamespaces].includes(homeOf(each))
  const staying = old.filter(isStaying)
  const stayingIn = [...new Set(staying.flatMap((each) => homeOf(each) ?? []))]
  return { going: old.filter((each) => !isStaying(each)), staying, stayingIn }
}

/** Takes it away. A run namespace that is not wanted any more stays with all that is in it: agents may be at work there. */
export async function prune(kubectl: Kubectl, config: Config, wanted: readonly Resource[], out: Output): Promise<void> {
  const { namespace } = config
  const { going, staying, stayingIn } = await leftovers(kubectl, config, wanted)
  for (const name of stayingIn)
    out.line(`  run namespace ${name} is not wanted any more and stays, for agents may be at work there`)
  await remove(kubectl, going)
  out.planned(going.map((each) => ({ name: nameOf(each, namespace), change: 'removed', differs: [] })))
  const { setupImage } = await readInventory(kubectl, namespace)
  await writeInventory(kubectl, namespace, { made: union(wanted, staying), setupImage })
}
