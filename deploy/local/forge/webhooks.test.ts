import { createHmac } from 'node:crypto'

import { expect, test } from 'vitest'

import type { Json } from './reply.ts'
import { at, forgeFor, idle, seed, sink } from './testing.ts'

type Forge = Awaited<ReturnType<typeof forgeFor>>
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

async function hooked(forge: Forge, url: string, events = ['*']): Promise<number> {
  const config = { url, content_type: 'json', secret: 'secret' }
  const { data } = await forge.as('alice').request('POST /repos/{owner}/{repo}/hooks', { ...at, config, events })
  return data.id
}
const open = (forge: Forge, title = 'A bug', labels: string[] = []) =>
  forge.as('alice').request('POST /repos/{owner}/{repo}/issues', { ...at, title, labels })

test('a new hook is pinged, and every delivery is signed over its raw bytes', async () => {
  const forge = await forgeFor()
  const hooks = await sink()
  const id = await hooked(forge, hooks.url)
  const { body } = await hooks.next('ping')
  expect(body).toMatchObject({
    hook_id: id,
    hook: { id, config: { secret: '********' } },
    repository: { full_name: 'alice/calc' },
  })
  await open(forge)
  const { headers, raw } = await hooks.next('issues.opened')
  expect(headers).toMatchObject({
    'content-type': 'application/json',
    'x-github-delivery': expect.stringMatching(UUID),
    'x-github-hook-id': String(id),
    'x-github-hook-installation-target-id': String((JSON.parse(raw) as { repository: { id: number } }).repository.id),
    'x-github-hook-installation-target-type': 'repository',
    'user-agent': expect.stringMatching(/^GitHub-Hookshot\//),
    'x-hub-signature-256': `sha256=${createHmac('sha256', 'secret').update(raw).digest('hex')}`,
    'x-hub-signature': `sha1=${createHmac('sha1', 'secret').update(raw).digest('hex')}`,
  })
})

test('a hook gets the events it asked for, while it is active and until it is deleted', async () => {
  const forge = await forgeFor()
  const hooks = await sink()
  const alice = forge.as('alice')
  const hook_id = await hooked(forge, hooks.url, ['issues'])
  await alice.request('POST /repos/{owner}/{repo}/labels', { ...at, name: 'other', color: 'ffffff' })
  await open(forge, 'one')
  await alice.request('PATCH /repos/{owner}/{repo}/hooks/{hook_id}', { ...at, hook_id, active: false })
  await open(forge, 'two')
  await alice.request('PATCH /repos/{owner}/{repo}/hooks/{hook_id}', {
    ...at,
    hook_id,
    active: true,
    add_events: ['label'],
  })
  await open(forge, 'three')
  await alice.request('DELETE /repos/{owner}/{repo}/hooks/{hook_id}', { ...at, hook_id })
  await open(forge, 'four')
  await idle(forge)
  expect(hooks.received.map(({ body }) => String((body['issue'] as Json | undefined)?.['title'])).toSorted()).toEqual([
    'one',
    'three',
    'undefined',
  ])
})

test('only who administers a repository sees its hooks', async () => {
  const forge = await forgeFor()
  await expect(forge.as('bob').request('GET /repos/{owner}/{repo}/hooks', at)).rejects.toMatchObject({ status: 404 })
})

test('a failed delivery is recorded, never repeated by itself, and redelivered on request with the same body and GUID', async () => {
  const forge = await forgeFor()
  let status = 503
  const hooks = await sink(() => status)
  const alice = forge.as('alice')
  const hook_id = await hooked(forge, hooks.url, ['issues'])
  await open(forge)
  const first = await hooks.next('issues.opened')
  await idle(forge)
  status = 202
  const list = async () =>
    (await alice.request('GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries', { ...at, hook_id })).data
  const [failed] = await list()
  expect(failed).toMatchObject({
    guid: first.headers['x-github-delivery'],
    event: 'issues',
    action: 'opened',
    redelivery: false,
    status_code: 503,
    status: 'Invalid HTTP Response: 503',
    repository_id: (first.body['repository'] as Json)['id'],
    installation_id: null,
  })
  const delivery_id = Number(failed?.id)
  const path = '/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}' as const
  const { data: full } = await alice.request(`GET ${path}`, { ...at, hook_id, delivery_id })
  expect(full).toMatchObject({
    request: { payload: first.body, headers: { 'X-GitHub-Event': 'issues' } },
    response: { payload: 'thank you' },
  })
  const again = await alice.request(`POST ${path}/attempts`, { ...at, hook_id, delivery_id })
  expect(again.status).toBe(202)
  await idle(forge)
  const second = hooks.received.at(-1)
  expect(second?.raw).toBe(first.raw)
  expect(second?.headers['x-github-delivery']).toBe(first.headers['x-github-delivery'])
  expect((await list())[0]).toMatchObject({ guid: failed?.guid, redelivery: true, status_code: 202, status: 'OK' })
  expect(hooks.names()).toEqual(['ping', 'issues.opened', 'issues.opened'])
})

test('deliveries are listed newest first and page by cursor', async () => {
  const forge = await forgeFor()
  const hooks = await sink()
  const alice = forge.as('alice')
  const hook_id = await hooked(forge, hooks.url, ['issues'])
  for (const title of ['1', '2', '3', '4']) await open(forge, title)
  await idle(forge)
  const seen: number[] = []
  let url: string | undefined = `${forge.url}/repos/alice/calc/hooks/${hook_id}/deliveries?per_page=2`
  while (url !== undefined) {
    const page: { data: { id: number }[]; headers: { link?: string } } = await alice.request(`GET ${url}`)
    seen.push(...page.data.map(({ id }) => id))
    url = /<([^>]+)>; rel="next"/.exec(page.headers.link ?? '')?.[1]
  }
  expect(seen).toHaveLength(5)
  expect(seen).toEqual(seen.toSorted((left, right) => right - left))
})

test('while hooks are paused deliveries fail, and none is sent later on its own', async () => {
  const forge = await forgeFor()
  const hooks = await sink()
  const hook_id = await hooked(forge, hooks.url, ['issues'])
  await hooks.next('ping')
  await forge.control('POST', '/hooks/pause')
  await open(forge)
  await idle(forge)
  await forge.control('POST', '/hooks/resume')
  const { data } = await forge
    .as('alice')
    .request('GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries', { ...at, hook_id, status: 'failure' } as never)
  expect(data).toMatchObject([{ status: 'failed to connect to host', status_code: 0 }])
  expect(hooks.names()).toEqual(['ping'])
})

test('an App gets its deliveries with its installation and lists them with its JWT', async () => {
  const hooks = await sink()
  const forge = await forgeFor({
    app: { ...(seed.app as { app_id: number; slug: string }), webhook_url: hooks.url, webhook_secret: 'app secret' },
  })
  const { asApp, installationId } = await forge.app()
  await open(forge, 'A bug', ['bug'])
  const { body, raw, headers } = await hooks.next('issues.labeled')
  expect(body).toMatchObject({ installation: { id: installationId }, label: { name: 'bug', id: expect.any(Number) } })
  expect(headers).toMatchObject({
    'x-github-hook-installation-target-type': 'integration',
    'x-github-hook-installation-target-id': '42',
    'x-hub-signature-256': `sha256=${createHmac('sha256', 'app secret').update(raw).digest('hex')}`,
  })
  await idle(forge)
  const { data } = await asApp.request('GET /app/hook/deliveries')
  expect(data.map(({ action, installation_id }) => [action, installation_id])).toEqual([
    ['labeled', installationId],
    ['opened', installationId],
  ])
  await asApp.request('POST /app/hook/deliveries/{delivery_id}/attempts', { delivery_id: Number(data[0]?.id) })
  await idle(forge)
  expect(hooks.names().toSorted()).toEqual(['issues.labeled', 'issues.labeled', 'issues.opened'])
  await expect(forge.as('alice').request('GET /app/hook/deliveries')).rejects.toMatchObject({ status: 401 })
})
