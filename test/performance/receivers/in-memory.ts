import type { HttpBindings } from '@hono/node-server'
import { randomUUID } from 'node:crypto'
import { Hono } from 'hono'
import { serve } from '#shared/edge/serve.ts'
import { createLog } from '#shared/log.ts'
import { webhookGateway, type Storage } from '../../../functions/webhook-gateway/handler.ts'
import { createSecrets } from '../../../functions/webhook-gateway/secrets.ts'

// The webhook gateway as it is, with a storage that remembers nothing and no relay: what is left without a database.
const { SECRETS_DIR = '', SECRET_NAME = '', HOOK_ID = '', REPOSITORY_ID = '' } = process.env
const log = createLog('in-memory', 'info')
const project = { id: 'p', repositoryId: REPOSITORY_ID, state: 'connected', settings: {} } as const
const secret = { secretName: SECRET_NAME, previousSecretName: null }
const hook = { id: HOOK_ID, instance: '', projectId: 'p', project, ...secret, seenAt: new Date() }
const storage: Storage = {
  findHook: async () => hook,
  findProject: async () => project,
  save: async (_, decision) => ({
    state: decision.kind === 'accept' ? 'accepted' : 'quarantined',
    reason: decision.kind === 'accept' ? null : decision.reason,
    duplicate: false,
    unsent: [randomUUID()],
  }),
  waitedMs: () => 0,
}
const relay = { after: async () => {}, overdue: async () => 0 }
const receive = webhookGateway({ storage, secrets: createSecrets(SECRETS_DIR), relay, log })
const app = new Hono<{ Bindings: HttpBindings }>()
app.post('/hooks/github/:hook', (c) => receive(c.req.param('hook'), c.req.raw, c.env.incoming))
await serve(
  { fetch: (request, bindings) => app.fetch(request, bindings as HttpBindings), close: async () => {} },
  { port: 0, log },
)
