import * as v from 'valibot'
import { Port, readEnv } from '#shared/env.ts'
import { startScriptedModel } from './server.ts'

const env = readEnv(v.object({ PORT: Port, HOST: v.optional(v.string(), '127.0.0.1') }))
const model = await startScriptedModel({ port: env.PORT, host: env.HOST })
process.stdout.write(`scripted model on ${model.url}\n`)

for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.once(name, () => void model.close())
}
