import { Octokit } from '@octokit/core'
import { retry } from '@octokit/plugin-retry'
import { throttling } from '@octokit/plugin-throttling'
import { PermanentError, RetryLater } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import { SILENCE, type Pace } from '#shared/pace.ts'
import { inSpan } from '#shared/telemetry/trace.ts'
import { numeric } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { appTokens } from './app-token.ts'
import { forgeClock } from './forge-clock.ts'
import { NotThere, failure, rateLimit } from './failure.ts'
import { paced } from './limits.ts'
import { localPace } from './meter.ts'

export type { RepositoryRef } from './address.ts'
export type { Octokit } from '@octokit/core'

/** How we prove who we are: as an App, or as a machine user. */
export type GitHubAuth =
  | { readonly kind: 'app'; readonly appId: string; readonly privateKey: string }
  | { readonly kind: 'token'; readonly token: string }

/** Permissions of an installation token, by GitHub's names. Left out: all that the installation has. */
export type Permissions = Readonly<Record<string, 'read' | 'write'>>

/** One GitHub instance and our identity on it. */
export interface GitHub {
  readonly instance: string
  /** A client for one repository. An App's token for it is minted at the first use, covers that repository only, and is kept until shortly before its end. */
  for(repository: RepositoryRef, permissions?: Permissions): Octokit
  /** The bare token of such a client. Never log it. */
  token(repository: RepositoryRef, permissions?: Permissions): Promise<string>
  /** A client that speaks as the App itself (with its JWT), or as the machine user. */
  self(): Octokit
}

/** Longest wait of one attempt, and of one request with its retries, milliseconds. */
const ATTEMPT_MS = 10_000
const REQUEST_MS = 15_000

/** For requests that change nothing when repeated although they are POSTs. Others are sent once: their callers search and adopt. */
export const REPEATABLE = { repeatable: true }

const Client = Octokit.plugin(throttling, retry)

/**
 * The client of one GitHub instance. `instance` is the root of its REST API (`https://api.github.com`, `https://ghe.example/api/v3`) and
 * the only origin ever contacted; redirects are not followed. A request ends within 15 s: it waits out a limit of at most 10 s and
 * repeats a 5xx or reset twice; beyond that RetryLater, as for 401 and 403. What is not there is `NotThere` (a RetryLater), a refused content
 * `Refused` (a PermanentError). No error carries a request.
 */
export function createGitHub(options: {
  readonly instance: string
  readonly auth: GitHubAuth
  readonly log: Log
  /** What keeps this client below the forge's limits; left out: this process alone. */
  readonly pace?: Pace
  readonly userAgent?: string
  readonly fetch?: typeof globalThis.fetch
}): GitHub {
  const { auth, log } = options
  const instance = apiRoot(options.instance)
  const pace = options.pace ?? localPace()
  const groups = paced(pace)
  const clock = forgeClock(options.fetch ?? globalThis.fetch)
  const octokitLog = {
    debug: (message: string) => log.debug(message),
    info: (message: string) => log.info(message),
    warn: (message: string) => log.warn(message),
    error: (message: string) => log.error(message),
  }

  function client(id: string, token: ((refresh: boolean) => Promise<string>) | undefined): Octokit {
    // A short silence is waited out once; the request was refused, not applied.
    const onLimit = (seconds: number, _: unknown, __: unknown, count: number): boolean => {
      if (seconds > ATTEMPT_MS / 1000 || count > 0) return false
      // Told to the others while this one waits; where that fails, this one keeps the silence all the same.
      pace.silence(id, seconds).catch(() => {})
      return true
    }
    const octokit = new Client({
      baseUrl: instance,
      userAgent: options.userAgent ?? 'codex-k8s',
      log: octokitLog,
      request: { fetch: oneAttempt(clock.fetch) },
      throttle: { id, ...groups, onRateLimit: onLimit, onSecondaryRateLimit: onLimit },
      retry: {
        retries: 2,
        doNotRetry: [400, 401, 403, 404, 409, 410, 422, 429, 451],
        retryAfterBaseValue: 150 + 100 * Math.random(),
      },
    })
    octokit.hook.wrap('request', async (request, parameters) => {
      const what = `${parameters.method} ${parameters.url}`
      // A path alone: nothing that came in a payload can send a request, and our token with it, to another place.
      if (parameters.baseUrl !== instance || !/^\/(?!\/)/.test(parameters.url))
        throw new PermanentError('not a path of this instance')
      // Copied, because what is not given for one request is the same object for all.
      const given = parameters.request
      const repeatable =
        parameters.method !== 'POST' || given['repeatable'] === true || parameters.url.endsWith('/access_tokens')
      // An enterprise instance has it beside `/api/v3`, not below.
      if (parameters.url === '/graphql') parameters.baseUrl = instance.replace(/\/api\/v3$/, '/api')
      const once = repeatable ? {} : { retries: 0 }
      parameters.request = { signal: AbortSignal.timeout(REQUEST_MS), ...once, ...given }
      parameters.headers = { ...parameters.headers, 'x-github-api-version': '2022-11-28' }
      const send = async (refresh: boolean) => {
        if (token) parameters.headers.authorization = `bearer ${await token(refresh)}`
        return request(parameters)
      }
      try {
        const answer = await send(false).catch((error: unknown) => {
          if (token && auth.kind === 'app' && (error as { status?: unknown }).status === 401) return send(true)
          throw error
        })
        if (answer.status >= 300)
          throw new NotThere(answer.status, `${what}: ${answer.status} redirects are not followed`)
        // A body that broke off leaves a string.
        if (answer.status !== 204 && typeof answer.data !== 'object') throw new RetryLater(`${what}: unreadable answer`)
        return answer
      } catch (error) {
        const limit = rateLimit(error, Date.now() + clock.difference() * 1_000)
        if (limit === undefined) throw failure(error, what)
        // Without a database nothing is granted either.
        const seconds = await pace.silence(id, limit.seconds).catch(() => limit.seconds ?? SILENCE.unnamed)
        throw new RetryLater(`${what}: rate limited`, { seconds: Math.ceil(seconds) })
      }
    })
    octokit.hook.wrap('request', (request, parameters) => {
      // The template of the path: what fills it is the repository's.
      const { method, url } = parameters
      const attributes = { 'http.request.method': method, 'url.template': url }
      return inSpan({ name: `${method} ${url}`, kind: 'client', attributes }, async (span) => {
        const response = await request(parameters)
        span?.set({ 'http.response.status_code': response.status })
        return response
      })
    })
    return octokit
  }

  if (auth.kind === 'token') {
    const octokit = client('machine-user', () => Promise.resolve(auth.token))
    return { instance, for: () => octokit, self: () => octokit, token: () => Promise.resolve(auth.token) }
  }
  const app = appTokens(auth, client('app', undefined), clock)
  const tokenFor = (repository: RepositoryRef, permissions: Permissions | undefined) => (refresh: boolean) =>
    app.installation(repository, permissions, refresh)
  return {
    instance,
    self: () => client('app', () => app.jwt()),
    for: (repository, permissions) =>
      client(
        repository.installationId ?? `repository ${numeric(repository.repositoryId)}`,
        tokenFor(repository, permissions),
      ),
    token: (repository, permissions) => tokenFor(repository, permissions)(false),
  }
}

function apiRoot(instance: string): string {
  const url = new URL(instance)
  const plain = /^https?:$/.test(url.protocol) && url.username + url.password + url.search + url.hash === ''
  if (!plain) throw new Error('the GitHub instance is not a plain http(s) URL')
  return url.href.replace(/\/+$/, '')
}

const oneAttempt =
  (fetch: typeof globalThis.fetch): typeof globalThis.fetch =>
  (input, init) => {
    const signals = [AbortSignal.timeout(ATTEMPT_MS), ...(init?.signal ? [init.signal] : [])]
    return fetch(input, { ...init, redirect: 'manual', signal: AbortSignal.any(signals) })
  }
