import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startChild } from './child.ts'
import type { Ground } from './ground.ts'
import type { Hook, Receiver } from './receivers.ts'

const script = `
import { Probot, Server } from 'probot'
const { SECRET, PRIVATE_KEY, HOOK_PATH } = process.env
const server = new Server({
  port: 0,
  host: '127.0.0.1',
  webhookPath: HOOK_PATH,
  Probot: Probot.defaults({ appId: 1, privateKey: PRIVATE_KEY, secret: SECRET, logLevel: 'warn' }),
})
await server.load((app) => app.onAny(() => {}))
const http = await server.start()
const { port } = http.address()
process.stdout.write(JSON.stringify({ url: 'http://127.0.0.1:' + port, msg: 'listening' }) + '\\n')
process.once('SIGTERM', () => process.exit(0))
`

/** The real Probot, fetched by npm into a folder that goes with the benchmark: too large to carry for one figure. */
export async function startProbot({ folder: parent, say }: Ground, hook: Hook): Promise<Receiver> {
  const folder = join(parent, 'probot')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }')
  say('fetching Probot ...')
  await promisify(execFile)('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', 'probot@14.3.2'], {
    cwd: folder,
  })
  const path = join(folder, 'main.js')
  writeFileSync(path, script)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const env = {
    SECRET: hook.secret,
    HOOK_PATH: hook.path,
    PRIVATE_KEY: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString(),
  }
  const child = await startChild(path, { env, until: /"url":"([^"]+)".*"listening"/ })
  return { name: 'probot', child, url: `${child.ready?.[1] ?? ''}${hook.path}` }
}
