import type { Octokit } from '@octokit/core'
import { canonicalJson } from '#shared/digest.ts'
import { RetryLater } from '#shared/errors.ts'
import { numeric, ownerAndName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import type { ForgeClock } from './forge-clock.ts'
import { NotThere } from './failure.ts'

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

/** A kept token is replaced when it has less than this left, so that a clone or a commit that begins with it also ends with it. */
const LEAST_LEFT_MS = 10 * 60_000

/**
 * Mint and keep the tokens of an App, over a client that adds no credentials of its own. Kept here and not by auth-app, which hands a
 * token being minted to whoever asks for the same installation id at that moment, also on another instance.
 */
export function appTokens(
  app: { readonly appId: string; readonly privateKey: string },
  octokit: Octokit,
  clock: Pick<ForgeClock, 'difference'>,
): AppTokens {
  // Loaded when first needed: a function with a machine user's token never pays for it.
  const load = async () => (await import('@octokit/auth-app')).createAppAuth
  let loading: ReturnType<typeof load> | undefined
  const jwt = async () => {
    const createAppAuth = await (loading ??= load())
    return (await createAppAuth({ ...app, timeDifference: clock.difference() })({ type: 'app' })).token
  }
  /** As the App itself. An answer that shows that our clock is off is the reason to ask once more, by the forge's. */
  const asApp = async <T>(ask: (headers: { authorization: string }) => Promise<T>): Promise<T> => {
    const before = clock.difference()
    const once = async () => ask({ authorization: `bearer ${await jwt()}` })
    return once().catch((error: unknown) => (clock.difference() === before ? Promise.reject(error as Error) : once()))
  }

  const installations = new Map<string, number>()
  const tokens = new Map<string, Promise<{ token: string; expiresAt: number }>>()

  async function installationOf(repository: RepositoryRef): Promise<number> {
    const known = repository.installationId ?? installations.get(repository.repositoryId)
    if (known !== undefined) return numeric(known)
    const address = ownerAndName(repository)
    const { data } = await asApp((headers) =>
      octokit.request('GET /repos/{owner}/{repo}/installation', { ...address, headers }),
    )
    installations.set(repository.repositoryId, data.id)
    return data.id
  }

  async function mint(wanted: { installation_id: number; repository_ids: number[]; permissions?: object }) {
    const route = 'POST /app/installations/{installation_id}/access_tokens'
    const { data } = await asApp((headers) => octokit.request(route, { ...wanted, headers }))
    return { token: data.token, expiresAt: Date.parse(data.expires_at) }
  }

  return {
    jwt,
    async installation(repository, permissions, refresh) {
      try {
        const wanted = {
          installation_id: await installationOf(repository),
          repository_ids: [numeric(repository.repositoryId)],
          ...(permissions === undefined ? {} : { permissions: { ...permissions } }),
        }
        const key = canonicalJson(wanted)
        // No await where nothing is kept: of many at once the first mints and the others wait for it.
        const known = refresh ? undefined : tokens.get(key)
        const kept = known && (await known)
        if (kept && kept.expiresAt - (Date.now() + clock.difference() * 1_000) > LEAST_LEFT_MS) return kept.token
        const minted = mint(wanted)
        tokens.set(key, minted)
        minted.catch(() => tokens.delete(key))
        return (await minted).token
      } catch (error) {
        // A missing installation must not look like a missing issue.
        if (error instanceof RetryLater && !(error instanceof NotThere)) throw error
        // Not the event's fault, so never permanent: a person repairs the installation and the run goes on.
        const reason = error instanceof Error ? error.message : 'failed'
        throw new RetryLater(`no installation token: ${reason.slice(0, 300)}`, { seconds: 60 })
      }
    },
  }
}
