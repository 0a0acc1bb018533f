import { createHmac, randomUUID } from 'node:crypto'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request as overHttp, type IncomingMessage } from 'node:http'
import { request as overTls } from 'node:https'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { SELF_TEST } from '../setup/self-test.ts'
import type { Config } from './config.ts'
import { publicUrl } from './connect.ts'
import { InstallError } from './install-error.ts'
import { readInventory } from './inventory.ts'
import { commandFor, getAll, type Kubectl } from './kubectl.ts'
import type { Output } from './output.ts'
import { decoded, secret } from './secrets.ts'
import { runSetup, type SetupLine } from './setup-job.ts'

/** Longest wait until the gateway takes the ping, milliseconds. A pod that runs sees a new key of a Secret after up to two minutes. */
const PATIENCE_MS = 150_000

/** Sends a signed ping as the forge would and follows it to the ledger. */
export async function selfTest(kubectl: Kubectl, config: Config, out: Output): Promise<void> {
  const { namespace } = config
  await out.step('self-test', async () => {
    const { setupImage: image } = await readInventory(kubectl, namespace)
    const [hooks] = await getAll(kubectl, [secret('codex-k8s-hooks', namespace)])
    const key = decoded(hooks?.data)[SELF_TEST.secretName]
    if (key === undefined) throw new InstallError('the self-test has no secret', 'npm run bootstrap -- install first')
    const url = await publicUrl(kubectl, config)
    const delivery = randomUUID()
    const lines: SetupLine[] = []
    let isSent: Promise<void> | undefined
    const isThere = await runSetup(
      kubectl,
      { namespace, image },
      {
        args: ['await-ping', delivery],
        onLine(line) {
          if ('did' in line && line.did === 'ready') {
            isSent = send(kubectl, config, { url, key, delivery }, out)
            // It is looked at below; until then nobody waits for it.
            isSent.catch(() => {})
          } else lines.push(line)
        },
      },
    )
    await isSent
    const problem = lines.find((line) => 'problem' in line)
    if (!isThere)
      throw new InstallError(
        problem?.problem ?? 'the ping did not arrive',
        problem?.mend ?? 'npm run bootstrap -- self-test',
      )
    for (const line of lines) if ('what' in line) out.line(`  ${line.what} ${line.did}`)
  })
}

interface Ping {
  readonly url: string
  readonly key: string
  readonly delivery: string
}

async function send(kubectl: Kubectl, config: Config, ping: Ping, out: Output): Promise<void> {
  const since = performance.now()
  // Knative's default domain is in nobody's name service: then through the ingress, from here.
  const through = config.publicUrl === undefined ? await openIngress(kubectl, config) : undefined
  if (through !== undefined)
    out.line(`  publicUrl is not set: through ${through.name} by a port-forward, as ${new URL(ping.url).host}`)
  try {
    let said = ''
    for (; performance.now() - since < PATIENCE_MS; await delay(1_000)) {
      const { status, text } = await post(ping, through?.port).catch((error: Error) => ({
        status: 0,
        text: error.message,
      }))
      said = status === 0 ? text : `${status} ${text}`
      if (status === 202)
        return out.line(`  ${ping.url} answered 202 after ${Math.round(performance.now() - since)} ms`)
      // Not yet: a hook or key that a pod does not see so far, or a route that is still being made.
      if (![0, 401, 404, 502, 503, 504].includes(status)) break
    }
    throw new InstallError(
      `the ping stopped before the gateway: ${ping.url} says ${said.slice(0, 200)}`,
      config.publicUrl === undefined
        ? `kubectl get ksvc webhook-gateway --namespace ${config.namespace}`
        : `does ${new URL(config.publicUrl).host} lead to the ingress with Host ${new URL(ping.url).host}? docs/install.md, "A name for the gateway"`,
    )
  } finally {
    through?.stop()
  }
}

async function post({ url, key, delivery }: Ping, port: number | undefined): Promise<{ status: number; text: string }> {
  const hook = { type: 'Repository', id: 1, url: `${SELF_TEST.instance}/hooks/1`, updated_at: new Date().toISOString() }
  const body = Buffer.from(JSON.stringify({ zen: 'codex-k8s self-test', hook_id: 1, hook }))
  const target = new URL(`${url}/hooks/github/${SELF_TEST.hook}`)
  const headers = {
    host: target.host,
    'content-type': 'application/json',
    'content-length': body.length,
    'user-agent': 'GitHub-Hookshot/codex-k8s-self-test',
    'x-github-event': 'ping',
    'x-github-delivery': delivery,
    'x-hub-signature-256': `sha256=${createHmac('sha256', key).update(body).digest('hex')}`,
  }
  const options = { method: 'POST', headers, signal: AbortSignal.timeout(30_000) }
  // Not fetch, which lets nobody choose the Host header.
  const outgoing =
    port === undefined
      ? (target.protocol === 'https:' ? overTls : overHttp)(target, options)
      : overHttp({ ...options, host: '127.0.0.1', port, path: target.pathname })
  outgoing.end(body)
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { status: answer.statusCode ?? 0, text: (await buffer(answer)).toString().slice(0, 300) }
}

/** A door to Knative's ingress. The gateway's own KIngress says which Service that is. */
async function openIngress(kubectl: Kubectl, { namespace, context }: Config) {
  const [live] = await getAll(kubectl, [
    {
      apiVersion: 'networking.internal.knative.dev/v1alpha1',
      kind: 'Ingress',
      metadata: { name: 'webhook-gateway', namespace },
    },
  ])
  const { publicLoadBalancer } = (live?.status ?? {}) as {
    publicLoadBalancer?: { ingress?: readonly { domainInternal?: string }[] }
  }
  const [service, where] = (publicLoadBalancer?.ingress?.[0]?.domainInternal ?? '').split('.')
  if (service === undefined || where === undefined)
    throw new InstallError(
      "Knative's ingress does not say where it is",
      `set publicUrl; kubectl get kingress --namespace ${namespace} -o yaml`,
    )
  const args = ['port-forward', '--namespace', where, `service/${service}`, ':80', '--address', '127.0.0.1']
  const { command, before } = commandFor(context)
  const child = spawn(command, [...before, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  const port = await new Promise<number>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line)
        const [, local] = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line) ?? []
        if (local !== undefined) resolve(Number(local))
      })
    child.once('error', reject)
    child.once('close', () =>
      reject(new InstallError(`kubectl port-forward ended: ${said.join('; ')}`, 'set publicUrl')),
    )
  })
  return { name: `service/${service} in ${where}`, port, stop: () => void child.kill() }
}
