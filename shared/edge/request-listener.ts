import { getRequestListener, type HttpBindings } from '@hono/node-server'
import type { App } from '#shared/edge/serve.ts'

/**
 * What makes a request of Node's server one of the app's, and its answer one of Node's. What is left of a refused body is
 * Node's to throw away: the adapter would read up to 64 MiB of it.
 */
export function requestListener(app: App) {
  const fetch = (request: Request, bindings: unknown) => app.fetch(request, bindings as HttpBindings)
  return getRequestListener(fetch, { autoCleanupIncoming: false })
}
