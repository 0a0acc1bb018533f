import type { Context } from 'hono'

import type { App, Env, Forge } from './forge.ts'
import { may, repositoryOf } from './permissions.ts'
import { ApiError, invalid, isObject, notFound, validationFailed } from './reply.ts'
import type { Json } from './reply.ts'
import type { RepoRow } from './rows.ts'
import { seconds } from './shapes.ts'

/** Where deliveries of a hook go. */
export interface HookConfig {
  readonly url: string
  readonly content_type: 'json' | 'form'
  readonly insecure_ssl: string
  readonly secret?: string
}

/** A hook of a repository, or the one hook of an App. */
export interface Hook {
  readonly id: number
  readonly target: { readonly type: 'repository' | 'integration'; readonly id: number }
  readonly path: string
  events: readonly string[]
  active: boolean
  config: HookConfig
  readonly createdAt: string
  updatedAt: string
  lastResponse: { code: number | null; status: string; message: string | null }
}

/** Make a hook with GitHub's defaults. */
export function createHook(
  id: number,
  target: Hook['target'],
  path: string,
  config: HookConfig,
  events: readonly string[],
): Hook {
  const now = seconds(new Date().toISOString())
  return {
    id,
    target,
    path,
    events,
    active: true,
    config,
    createdAt: now,
    updatedAt: now,
    lastResponse: { code: null, status: 'unused', message: null },
  }
}

/** A hook's configuration from a request body over what was there before. */
export function hookConfig(raw: unknown, before?: HookConfig): HookConfig {
  const given = isObject(raw) ? raw : {}
  const url = String(given['url'] ?? before?.url ?? '')
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw validationFailed({
      resource: 'Hook',
      code: 'custom',
      field: 'url',
      message: 'url is missing or not an http URL',
    })
  }
  const type = given['content_type'] ?? before?.content_type ?? 'form'
  if (type !== 'json' && type !== 'form') throw invalid("Invalid content type: use 'json' or 'form'")
  const secret = given['secret'] === undefined ? before?.secret : String(given['secret'])
  return {
    url,
    content_type: type,
    insecure_ssl: String(given['insecure_ssl'] ?? before?.insecure_ssl ?? '0'),
    ...(secret ? { secret } : {}),
  }
}

/** A configuration without its secret. */
export const configJson = ({ secret, ...config }: HookConfig): Json => ({
  ...config,
  ...(secret ? { secret: '********' } : {}),
})

/** A hook as GitHub shows it. */
export function hookJson(forge: Pick<Forge, 'url'>, hook: Hook): Json {
  const url = forge.url + hook.path
  return {
    type: hook.target.type === 'repository' ? 'Repository' : 'App',
    id: hook.id,
    name: 'web',
    active: hook.active,
    events: hook.events,
    config: configJson(hook.config),
    updated_at: hook.updatedAt,
    created_at: hook.createdAt,
    url,
    test_url: `${url}/test`,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    last_response: hook.lastResponse,
  }
}

/** The App a JWT speaks for. */
export function appOf(c: Context<Env>): App {
  const caller = c.get('caller')
  if (caller.kind !== 'app') throw new ApiError(401, 'A JSON web token could not be decoded')
  return caller.app
}

/** The hook of a request and what it is called by. */
export function hookOf(forge: Forge, c: Context<Env>): Hook {
  if (c.req.param('owner') === undefined) return appOf(c).hook
  const repo = administered(forge, c)
  const id = Number(c.req.param('id'))
  const hook = forge.hooks.find((one) => one.id === id && one.target.type === 'repository' && one.target.id === repo.id)
  if (!hook) throw notFound()
  return hook
}

/** The repository of a request about its hooks; somebody without admin rights does not even learn that hooks exist. */
export function administered(forge: Forge, c: Context<Env>): RepoRow {
  const repo = repositoryOf(forge, c)
  if (!may(forge, c.get('caller'), repo, 'admin', 'repository_hooks')) throw notFound()
  return repo
}
