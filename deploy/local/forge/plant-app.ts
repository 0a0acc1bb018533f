import { createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'

import type { App, Forge, Installation } from './forge.ts'
import { createHook } from './hooks.ts'
import { mustExist } from './seed.ts'
import type { SeedValue } from './seed.ts'
import { addUser } from './users.ts'

/** The seed's App: its bot, its key, its hook, its installations. */
export async function plantApp(forge: Forge, app: NonNullable<SeedValue['app']>): Promise<App> {
  const privateKey = app.private_key ?? (await generateKey())
  const bot = addUser(forge, { login: `${app.slug}[bot]`, id: app.bot_id, type: 'Bot' })
  const name = app.name ?? app.slug
  forge.state.apps.insert({ app_id: app.app_id, slug: app.slug, name })
  const createdAt = new Date().toISOString().replace(/\.\d+/, '')
  const config = {
    url: app.webhook_url ?? '',
    content_type: 'json',
    insecure_ssl: '0',
    ...(app.webhook_secret ? { secret: app.webhook_secret } : {}),
  } as const
  const names = app.repositories === 'all' ? forge.state.repos.all().map((repo) => repo.full_name) : app.repositories
  const installations: Installation[] = []
  for (const full of names) {
    const repo = mustExist(forge.state.repos.findOneBy('full_name', full), `repository ${full} of the App`)
    const known = installations.find(({ account }) => account.id === repo.owner_id)
    if (known && known.repositories !== 'all') known.repositories.add(repo.id)
    if (known) continue
    const account = mustExist(forge.state.users.get(repo.owner_id), `owner of ${full}`)
    const id = installations.length === 0 && app.installation_id !== undefined ? app.installation_id : forge.nextId()
    installations.push({
      id,
      account,
      createdAt,
      repositories: app.repositories === 'all' ? 'all' : new Set([repo.id]),
    })
  }
  return {
    id: app.app_id,
    clientId: app.client_id ?? `Iv23li${app.app_id}`,
    slug: app.slug,
    name,
    bot,
    privateKey,
    publicKey: createPublicKey(privateKey),
    permissions: app.permissions,
    events: app.events,
    installations,
    createdAt,
    hook: createHook(forge.nextId(), { type: 'integration', id: app.app_id }, '/app/hook', config, app.events),
  }
}

async function generateKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  return privateKey
}
