import type { Octokit } from '@octokit/core'
import { RetryLater } from '#shared/errors.ts'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'

/** The tokens of one App. */
interface AppTokens {
  /** The App's own JWT, a few minutes valid. */
  jwt(): Promise<string>
  /** A token for one repository. RetryLater while the App is suspended, uninstalled or not allowed what is asked. */
  installation(
    repository: RepositoryRef,
    permissions: Readonly<Record<string, string>> | undefined,
    refresh: boolean,
  ): Promise<string>
}

/** A token is replaced when it has less than this left, so that a clone or a commit that begins with it also ends with it. */
const LEAST_LEFT_MS = 10 * 60_000

/** Mint and keep the tokens of an App, over a client that adds no credentials of its own. */
export function appTokens(app: { readonly appId: string; readonly privateKey: string }, octokit: Octokit): AppTokens {
  // Loaded when first needed: a function with a machine user's token never pays for it.
  const load = async () => (await import('@octokit/auth-app')).createAppAuth({ ...app, request: octokit.request })
  let loading: ReturnType<typeof load> | undefined
  const authentication = () => (loading ??= load())
  const installations = new Map<string, number>()

  const jwt = async () => (await (await authentication())({ type: 'app' })).token

  async function installationOf(repository: RepositoryRef): Promise<number> {
    if (repository.installationId !== null) return numeric(repository.installationId)
    const known = installations.get(repository.repositoryId)
    if (known !== undefined) return known
    const headers = { authorization: `bearer ${await jwt()}` }
    const { data } = await octokit.request('GET /repos/{owner}/{repo}/installation', {
      ...ownerAndName(repository),
      headers,
    })
    installations.set(repository.repositoryId, data.id)
    return data.id
  }

  return {
    jwt,
    async installation(repository, permissions, refresh) {
      try {
        const auth = await authentication()
        const wanted = {
          type: 'installation' as const,
          installationId: await installationOf(repository),
          repositoryIds: [numeric(repository.repositoryId)],
          ...(permissions === undefined ? {} : { permissions: { ...permissions } }),
        }
        const kept = await auth({ ...wanted, refresh })
        if (Date.parse(kept.expiresAt) - Date.now() > LEAST_LEFT_MS) return kept.token
        return (await auth({ ...wanted, refresh: true })).token
      } catch (error) {
        if (error instanceof RetryLater) throw error
        // Not the event's fault, so never permanent: a person repairs the installation and the run goes on.
        const reason = error instanceof Error ? error.message : 'failed'
        throw new RetryLater(`no installation token: ${reason.slice(0, 300)}`, { seconds: 60 })
      }
    },
  }
}
