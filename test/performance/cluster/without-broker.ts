import { randomUUID } from 'node:crypto'
import { connect } from '#shared/db/connect.ts'
import { migrate } from '#shared/db/migrate.ts'
import { hostAddress } from '../../cluster/host.ts'
import { kubectl } from '../../cluster/kubectl.ts'
import { apply, NAMESPACE, RUNS_NAMESPACE } from '../../cluster/platform.ts'
import type { Installed } from '../../cluster/setup.ts'
import { connectAll, TOKENS, type World } from '../../cluster/world.ts'
import { administer, databaseUrl } from '../../support/administer.ts'
import { startElsewhere } from '../servers.ts'
import type { WayThrough } from '../walk.ts'
import { patch } from './patch.ts'

/**
 * Gives the functions a database of its own, with a broker that takes every event and forgets it, and with owners who say
 * yes to every knock and sweep. It is for functions that start from now on.
 */
export async function startPlaceWithoutBroker(
  { ownerUrl, forgeUrl, repositories }: Installed,
  world: World,
): Promise<{ way: WayThrough; stop(): Promise<void> }> {
  const elsewhere = await startElsewhere(await hostAddress())
  const name = `walk_${randomUUID().replaceAll('-', '')}`
  const own = databaseUrl(ownerUrl, name)
  await administer(ownerUrl, `create database ${name}`)
  await migrate(own)
  const connected = (await connectAll(own, forgeUrl, repositories['bench-walk'].secret))['bench-walk']
  const db = connect(own, { name: 'bench' })

  const args = ['get', 'configmap/codex-k8s', '--namespace', NAMESPACE, '--output', 'json']
  const { data } = JSON.parse(await kubectl(args)) as { data: Record<string, string> }
  const { brokerUrl, modelUrl, ownersUrl } = elsewhere
  const config = { brokerUrl, modelUrl, serviceUrlTemplate: `${ownersUrl}/{function}` }
  await patch('configmap/codex-k8s', NAMESPACE, { data: config })
  const { databaseUrl: url, auditDatabaseUrl: auditUrl } = world
  const there = { url: databaseUrl(url, name), auditUrl: databaseUrl(auditUrl, name) }
  await apply([logins(there)])

  const person: WayThrough['person'] = async <T>(method: string, path: string, body?: unknown) => {
    const response = await fetch(`${forgeUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKENS.alice}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return (text === '' ? {} : JSON.parse(text)) as T
  }
  const at = `/repos/${connected.fullName}`
  const hook = { url: elsewhere.hookUrl, content_type: 'json', secret: connected.secret }
  await person('POST', `${at}/hooks`, { name: 'web', active: true, events: ['issues'], config: hook })
  return {
    way: {
      db,
      repository: connected.fullName,
      hookPath: connected.hookPath,
      tokenKey: world.runTokenKey,
      caught: elsewhere.caught,
      person,
      issue: async () =>
        (await person<{ number: number }>('POST', `${at}/issues`, { title: 'The total', body: '' })).number,
      label: async (issue) => void (await person('POST', `${at}/issues/${issue}/labels`, { labels: ['run:dev'] })),
    },
    async stop() {
      await patch('configmap/codex-k8s', NAMESPACE, { data })
      await apply([logins({ url, auditUrl })])
      await kubectl(['delete', 'jobs', '--all', '--namespace', RUNS_NAMESPACE, '--wait=false'])
      elsewhere.close()
      await db.destroy()
    },
  }
}

/** Encoded: of a text the API server would not know that it was applied before. */
function logins(urls: Readonly<Record<string, string>>) {
  const encoded = Object.entries(urls).map(([key, url]) => [key, Buffer.from(url).toString('base64')])
  const metadata = { name: 'codex-k8s-database', namespace: NAMESPACE }
  return { apiVersion: 'v1', kind: 'Secret', metadata, data: Object.fromEntries(encoded) }
}
