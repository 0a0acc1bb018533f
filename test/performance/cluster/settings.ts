import { kubectl } from '../../cluster/kubectl.ts'
import { patch } from './patch.ts'

const NAMESPACE = 'knative-serving'
const NAME = 'configmap/config-autoscaler'

/** Settings of Knative's autoscaler, for the whole cluster; `restore` puts back what was there. */
export async function withSettings(settings: Readonly<Record<string, string>>): Promise<{ restore(): Promise<void> }> {
  const { data = {} } = JSON.parse(await kubectl(['get', NAME, '--namespace', NAMESPACE, '--output', 'json'])) as {
    data?: Record<string, string>
  }
  // null takes a key away.
  const before = Object.fromEntries(Object.keys(settings).map((key) => [key, data[key] ?? null]))
  await patch(NAME, NAMESPACE, { data: settings })
  return { restore: () => patch(NAME, NAMESPACE, { data: before }) }
}
