import { getRequestListener, type HttpBindings } from '@hono/node-server'
import type { App } from '#shared/edge/serve.ts'

/** What makes a request of Node's server one of the app's, and its answer one of Node's. */
export function requestListener(app: App) {
  return getRequestListener((request, bindings) => app.fetch(request, bindings as HttpBindings))
}
