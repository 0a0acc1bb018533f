import { createHash, randomBytes } from 'node:crypto'
import type { Config } from './config.ts'
import { InstallError } from './install-error.ts'
import { readInventory } from './inventory.ts'
import { apply, getAll, type Kubectl, type Resource } from './kubectl.ts'
import type { Output } from './output.ts'
import { decoded, secret } from './secrets.ts'
import { runSetup } from './setup-job.ts'

/** A repository of the configuration, or one that was named on the command line. */
export type Repository = Config['repositories'][number]

const HOOKS = 'codex-k8s-hooks'

/**
 * Connects a repository: the secret of its webhook into the cluster, then the rest by a Job there, which has the forge's
 * credentials and the database. Nothing of either comes here. Again, it adopts what is there.
 */
export async function connectRepository(
  kubectl: Kubectl,
  config: Config,
  { name, maxActive, settings }: Repository,
  out: Output,
): Promise<void> {
  const { namespace } = config
  await out.step(`connect ${name}`, async () => {
    const { setupImage: image } = await readInventory(kubectl, namespace)
    const secretName = secretNameOf(config.forge.apiUrl, name)
    await ensureHookSecret(kubectl, namespace, secretName)
    const env = {
      PUBLIC_URL: await publicUrl(kubectl, config),
      SECRET_NAME: secretName,
      ...(maxActive !== undefined && { MAX_ACTIVE: String(maxActive) }),
      ...(settings !== undefined && { SETTINGS: JSON.stringify(settings) }),
    }
    const problems: { problem: string; mend: string }[] = []
    const isDone = await runSetup(
      kubectl,
      { namespace, image },
      {
        args: ['connect', name],
        env,
        onLine: (line) => ('problem' in line ? void problems.push(line) : out.line(`  ${line.what} ${line.did}`)),
      },
    )
    const [first] = problems
    if (!isDone) throw new InstallError(first?.problem ?? `${name} is not connected`, first?.mend ?? 'connect it again')
  })
}

/** Where the forge reaches the gateway. */
export async function publicUrl(kubectl: Kubectl, config: Config): Promise<string> {
  if (config.publicUrl !== undefined) return config.publicUrl
  const gateway: Resource = {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: { name: 'webhook-gateway', namespace: config.namespace },
  }
  const [live] = await getAll(kubectl, [gateway])
  const url = live?.status?.url
  if (url === undefined) throw new InstallError('webhook-gateway has no URL yet', 'npm run bootstrap -- install first')
  return url
}

/** The key of a repository's secret: to be read by people, and never the same for two repositories. */
export function secretNameOf(instance: string, fullName: string): string {
  const name = fullName.toLowerCase()
  const digest = createHash('sha256').update(`${instance} ${name}`).digest('hex').slice(0, 10)
  return `github.${name.replaceAll(/[^a-z0-9.-]+/g, '-').slice(0, 60)}.${digest}`
}

/** Makes the secret once. Its key has an owner of its own, so that nobody who applies the Secret takes another's away. */
async function ensureHookSecret(kubectl: Kubectl, namespace: string, key: string): Promise<void> {
  const [live] = await getAll(kubectl, [secret(HOOKS, namespace)])
  if (live === undefined) throw new InstallError(`Secret ${HOOKS} is not there`, 'npm run bootstrap -- install first')
  if (decoded(live.data)[key] !== undefined) return
  const values = { [key]: randomBytes(32).toString('hex') }
  await apply(kubectl, [secret(HOOKS, namespace, values)], { manager: `codex-k8s-hook-${key.slice(-10)}` })
}
