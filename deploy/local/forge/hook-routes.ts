import type { Context, Hono } from 'hono'

import type { Env, Forge } from './forge.ts'
import { administered, configJson, createHook, hookConfig, hookJson, hookOf } from './hooks.ts'
import type { Hook } from './hooks.ts'
import { isObject, paginate, validationFailed } from './reply.ts'
import type { Json } from './reply.ts'
import { seconds } from './shapes.ts'

/** Repository hooks, and the configuration of the App's own hook. */
export function hookRoutes(app: Hono<Env>, forge: Forge, ping: (hook: Hook, actor: number) => Promise<void>): void {
  const path = '/repos/:owner/:repo/hooks'
  const actor = (c: Context<Env>) => {
    const caller = c.get('caller')
    return caller.kind === 'user' || caller.kind === 'installation' ? caller.user.id : 0
  }

  app.get(path, (c) => {
    const repo = administered(forge, c)
    const hooks = forge.hooks.filter(({ target }) => target.type === 'repository' && target.id === repo.id)
    return c.json(
      paginate(
        c,
        hooks.map((hook) => hookJson(forge, hook)),
      ),
    )
  })
  app.post(path, async (c) => {
    const repo = administered(forge, c)
    const body = isObject(c.get('body')) ? (c.get('body') as Json) : {}
    const config = hookConfig(body['config'])
    const events = eventList(body['events'], ['push'])
    const own = forge.hooks.filter(({ target }) => target.type === 'repository' && target.id === repo.id)
    if (own.some((hook) => hook.config.url === config.url && hook.events.join() === events.join())) {
      throw validationFailed({ resource: 'Hook', code: 'custom', message: 'Hook already exists on this repository' })
    }
    const id = forge.nextId()
    const hook = createHook(
      id,
      { type: 'repository', id: repo.id },
      `/repos/${repo.full_name}/hooks/${id}`,
      config,
      events,
    )
    hook.active = body['active'] !== false
    forge.hooks.push(hook)
    await ping(hook, actor(c))
    return c.json(hookJson(forge, hook), 201)
  })
  app.get(`${path}/:id{[0-9]+}`, (c) => c.json(hookJson(forge, hookOf(forge, c))))
  app.patch(`${path}/:id{[0-9]+}`, (c) => {
    const hook = hookOf(forge, c)
    const body = isObject(c.get('body')) ? (c.get('body') as Json) : {}
    const [add, remove] = [eventList(body['add_events'], []), eventList(body['remove_events'], [])]
    hook.events = [...new Set([...eventList(body['events'], hook.events), ...add])].filter(
      (event) => !remove.includes(event),
    )
    if (body['config'] !== undefined) hook.config = hookConfig(body['config'], hook.config)
    if (typeof body['active'] === 'boolean') hook.active = body['active']
    hook.updatedAt = seconds(new Date().toISOString())
    return c.json(hookJson(forge, hook))
  })
  app.delete(`${path}/:id{[0-9]+}`, (c) => {
    forge.hooks.splice(forge.hooks.indexOf(hookOf(forge, c)), 1)
    return c.body(null, 204)
  })
  app.post(`${path}/:id{[0-9]+}/pings`, async (c) => {
    await ping(hookOf(forge, c), actor(c))
    return c.body(null, 204)
  })
  for (const at of [`${path}/:id{[0-9]+}/config`, '/app/hook/config']) {
    app.get(at, (c) => c.json(configJson(hookOf(forge, c).config)))
    app.patch(at, (c) => {
      const hook = hookOf(forge, c)
      hook.config = hookConfig(c.get('body'), hook.config)
      hook.active = true
      return c.json(configJson(hook.config))
    })
  }
}

function eventList(raw: unknown, otherwise: readonly string[]): readonly string[] {
  if (raw === undefined) return otherwise
  if (!Array.isArray(raw) || raw.some((event) => typeof event !== 'string'))
    throw validationFailed({ resource: 'Hook', field: 'events', code: 'invalid' })
  return raw as string[]
}
