import type { Context, Hono } from 'hono'

import type { Delivery } from './deliveries.ts'
import type { Env, Forge } from './forge.ts'
import { hookOf } from './hooks.ts'
import { invalid, notFound } from './reply.ts'
import type { Json } from './reply.ts'

const summary = (delivery: Delivery): Json => ({
  id: delivery.id,
  guid: delivery.guid,
  delivered_at: delivery.deliveredAt,
  redelivery: delivery.redelivery,
  duration: delivery.duration,
  status: delivery.status,
  status_code: delivery.statusCode,
  event: delivery.event,
  action: delivery.action,
  installation_id: delivery.installationId,
  repository_id: delivery.repositoryId,
  throttled_at: null,
})

/** Past deliveries of repository hooks and of the App's hook, and their redelivery. */
export function deliveryRoutes(app: Hono<Env>, forge: Forge): void {
  const find = (c: Context<Env>) => {
    const hook = hookOf(forge, c)
    const delivery = forge.deliveries.of(hook).find(({ id }) => id === Number(c.req.param('delivery')))
    if (!delivery) throw notFound()
    return { hook, delivery }
  }

  for (const path of ['/repos/:owner/:repo/hooks/:id{[0-9]+}/deliveries', '/app/hook/deliveries']) {
    app.get(path, (c) => {
      const hook = hookOf(forge, c)
      const size = Math.min(100, Math.max(1, Number.parseInt(c.req.query('per_page') ?? '', 10) || 30))
      const cursor = c.req.query('cursor')
      const below = cursor === undefined ? Number.POSITIVE_INFINITY : Number(/^v1_(\d+)$/.exec(cursor)?.[1])
      if (Number.isNaN(below)) throw invalid('Invalid cursor')
      const status = c.req.query('status')
      const failed = ({ statusCode }: Delivery) => statusCode < 200 || statusCode >= 400
      // An attempt still under way is not listed, as on GitHub.
      const rest = forge.deliveries
        .of(hook)
        .filter(
          (one) =>
            one.id < below &&
            one.status !== 'pending' &&
            (status === undefined || failed(one) === (status === 'failure')),
        )
      const page = rest.slice(0, size)
      const last = page.at(-1)
      if (last && rest.length > size) {
        const url = new URL(c.req.url)
        url.searchParams.set('cursor', `v1_${last.id}`)
        c.header('Link', `<${url.href}>; rel="next"`)
      }
      return c.json(page.map(summary))
    })
    app.get(`${path}/:delivery{[0-9]+}`, (c) => {
      const { delivery } = find(c)
      const { headers, payload } = delivery.request
      return c.json({
        ...summary(delivery),
        url: delivery.url,
        request: { headers, payload: JSON.parse(payload) as unknown },
        response: delivery.response,
      })
    })
    app.post(`${path}/:delivery{[0-9]+}/attempts`, (c) => {
      const { hook, delivery } = find(c)
      forge.deliveries.repeat(hook, delivery)
      return c.json({}, 202)
    })
  }
}
