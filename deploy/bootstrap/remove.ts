import { KubectlError, type Kubectl, type Resource } from './kubectl.ts'

/** Deletes these objects and what belongs to them; those that are gone are gone. */
export async function remove(
  kubectl: Kubectl,
  resources: readonly Resource[],
  ...more: readonly string[]
): Promise<void> {
  if (resources.length === 0) return
  const names = resources.map(({ apiVersion, kind, metadata: { name, namespace } }) =>
    JSON.stringify({ apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }) } }),
  )
  await kubectl(['delete', '--ignore-not-found', '--filename', '-', ...more], names.join('\n---\n')).catch(
    (error: unknown) => {
      // The namespace went with it.
      if (!(error instanceof KubectlError) || !/not found/i.test(error.message)) throw error
    },
  )
}
