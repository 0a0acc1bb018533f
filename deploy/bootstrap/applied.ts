import { apply, getAll, keyOf, type Kubectl, type Resource } from './kubectl.ts'
import { changeOf, nameOf, type Planned } from './plan.ts'

/** Applies, and says of each object what that changed. */
export async function applied(
  kubectl: Kubectl,
  resources: readonly Resource[],
  namespace: string,
  options: { isDry?: boolean } = {},
): Promise<Planned[]> {
  const before = new Map((await getAll(kubectl, resources)).map((each) => [keyOf(each), each]))
  const after = await apply(kubectl, resources, options)
  return after.map((each) => ({ name: nameOf(each, namespace), ...changeOf(before.get(keyOf(each)), each) }))
}
