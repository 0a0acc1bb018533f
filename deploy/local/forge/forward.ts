import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'

import { correct } from './correct.ts'
import { actingAs } from './credentials.ts'
import type { Env, Forge } from './forge.ts'
import { repositoryOf } from './permissions.ts'
import { ApiError, isObject } from './reply.ts'
import type { RepoRow } from './rows.ts'

const MESSAGES: Readonly<Record<string, string>> = {
  'Update is not a fast-forward': 'Update is not a fast forward',
  'Fast-forward update requires commit objects': 'Update is not a fast forward',
  'Invalid sha': 'Object does not exist',
  'Validation failed': 'Validation Failed',
  Forbidden: 'Must have admin rights to Repository.',
}

/** What differs from the request as it came. */
export interface Changed {
  readonly method?: string
  readonly path?: string
  readonly body?: unknown
}

/** Let the emulator handle a request as its caller, and correct its answer. */
export async function forward(forge: Forge, c: Context<Env>, changed: Changed = {}): Promise<Response> {
  const { body, status, link } = await ask(forge, c, changed)
  if (link !== null) c.header('Link', link)
  return body === undefined ? c.body(null, status as 204) : c.json(body, status)
}

/** The emulator's corrected answer; throws its errors in GitHub's words. */
export async function ask(
  forge: Forge,
  c: Context<Env>,
  changed: Changed = {},
): Promise<{ status: ContentfulStatusCode; body: unknown; link: string | null }> {
  const method = changed.method ?? (c.req.method === 'HEAD' ? 'GET' : c.req.method)
  const path = changed.path ?? canonicalPath(forge, c)
  const text = changed.body === undefined ? c.get('text') : JSON.stringify(changed.body)
  const request = { method, path, ...(method === 'GET' ? {} : { body: text === '' ? '{}' : text }) }
  const response = await forge.engine.request(actingAs(c.get('caller'), forge.state), request)
  const answer = await response.text()
  const body: unknown = answer === '' ? undefined : parse(answer)
  if (response.status >= 400) throw refusal(response.status, body, c)
  return {
    status: response.status as ContentfulStatusCode,
    body: correct(forge, body),
    link: response.headers.get('link'),
  }
}

/** A read as the repository's owner, for what we need to know ourselves. */
export async function askAsOwner(forge: Forge, repo: RepoRow, path: string): Promise<unknown> {
  const owner = forge.state.users.get(repo.owner_id)
  const acting = { login: owner?.login ?? '', id: repo.owner_id, scopes: ['repo'] }
  const response = await forge.engine.request(acting, { method: 'GET', path: `/repos/${repo.full_name}${path}` })
  if (!response.ok) throw new ApiError(response.status as ContentfulStatusCode, 'Not Found')
  return correct(forge, await response.json())
}

// Names of owners and repositories are case-insensitive on GitHub, not in the emulator.
function canonicalPath(forge: Forge, c: Context<Env>): string {
  const { pathname, search } = new URL(c.req.url)
  const below = /^\/repos\/[^/]+\/[^/]+(.*)$/s.exec(pathname)?.[1]
  if (below === undefined || c.req.param('repo') === undefined) return pathname + search
  return `/repos/${repositoryOf(forge, c).full_name}${below}${search}`
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function refusal(status: number, body: unknown, c: Context<Env>): ApiError {
  const said = isObject(body) ? String(body['message']) : 'Server Error'
  if (status === 404) {
    const moving =
      /^\/repos\/[^/]+\/[^/]+\/git\/refs\//.test(c.req.path) && (c.req.method === 'PATCH' || c.req.method === 'DELETE')
    return moving ? new ApiError(422, 'Reference does not exist') : new ApiError(404, 'Not Found')
  }
  const integration = status === 403 && said === 'Forbidden' && c.get('caller').kind === 'installation'
  return new ApiError(
    status as ContentfulStatusCode,
    integration ? 'Resource not accessible by integration' : (MESSAGES[said] ?? said),
  )
}
