import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished } from 'vitest'
import { listen } from '#shared/edge/serve.ts'
import { RetryLater } from '#shared/errors.ts'
import { forgeForFile } from '#shared/run/testing/forge.ts'
import { proxyGit } from './git.ts'
import { gateway } from './testing/gateway.ts'
import { test } from './testing/test.ts'

const forge = forgeForFile()
const secret = 'ghs_canaryOfTheForge'

async function served(db: Parameters<typeof gateway>[0]) {
  const own = gateway(db, { github: forge.github(), gitUrl: forge.url() })
  const { token } = await own.run({}, await forge.project(db))
  const { url, close } = await listen({ fetch: own.app.fetch, close: async () => {} }, { port: 0 })
  onTestFinished(close)
  const folder = mkdtempSync(join(tmpdir(), 'git-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const git = (...args: string[]) =>
    promisify(execFile)(
      'git',
      ['-C', folder, '-c', `http.extraHeader=Authorization: Bearer ${token}`, '-c', 'protocol.version=2', ...args],
      {
        env: {
          PATH: process.env['PATH'] ?? '',
          HOME: folder,
          GIT_TERMINAL_PROMPT: '0',
          GIT_CONFIG_NOSYSTEM: '1',
          GIT_TRACE_CURL: '1',
        },
      },
    )
  await git('init', '--quiet')
  return { ...own, token, url: `${url}/v1/git`, git, folder }
}

/** A forge of one answer, and what it was asked. */
async function scripted(status: number, headers: Record<string, string> = {}, body: string | Buffer = '') {
  const asked: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '' } = request
      asked.push({ method, url, headers: request.headers, body: Buffer.concat(chunks).toString() })
      response.writeHead(status, headers).end(body)
    })
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const root = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { asked, root, upstream: { url: `${root}/maria/shop.git`, token: async () => secret } }
}

describe('read-only git', () => {
  test('a real git fetches, whole and partially, and sees nothing of our credential', async ({ db }) => {
    const { git, url, lines } = await served(db)
    const { stderr } = await git('fetch', '--depth=1', '--filter=blob:none', url, 'main')
    const { stdout } = await git('ls-tree', '-r', '--name-only', 'FETCH_HEAD')
    expect(stdout.trim().split('\n')).toEqual(['README.md', 'src/a.js'])
    const [minted] = await forge.ledger('request')
    expect(minted).toBeDefined()
    expect(stderr + lines.join('')).not.toMatch(/ghs_|x-access-token/)
  })

  test('a push is refused before the forge hears of it', async ({ db }) => {
    const { git, url, call, token } = await served(db)
    await git('fetch', url, 'main')
    await expect(git('push', url, 'FETCH_HEAD:refs/heads/mine')).rejects.toThrow(/403/)
    expect(await call('GET', '/v1/git/info/refs?service=git-receive-pack', { token })).toMatchObject({
      status: 403,
      code: 'read_only',
    })
    expect((await call('GET', '/v1/git/info/refs', { token })).status).toBe(403)
    for (const path of ['git-receive-pack', 'objects/info/packs', 'HEAD', '../input', 'info/refs/x'])
      expect([path, (await call('POST', `/v1/git/${path}`, { token, body: '' })).status]).toEqual([path, 404])
    const requests = await forge.ledger('request')
    expect(requests.filter(({ path }) => String(path).includes('receive-pack'))).toEqual([])
  })
})

describe('the proxy', () => {
  test('asks two things and nothing else, with our credential and none of the client', async () => {
    const { asked, upstream } = await scripted(
      200,
      { 'content-type': 'application/x-git-upload-pack-result', 'set-cookie': 'a=b', 'x-request': secret },
      'pack',
    )
    const headers = new Headers({
      authorization: 'Bearer of the agent',
      cookie: 'session=agent',
      'proxy-authorization': 'Basic agent',
      'x-forwarded-host': 'evil.example',
      'git-protocol': 'version=2',
      'content-type': 'application/x-git-upload-pack-request',
    })
    const answer = await proxyGit(upstream, headers, { kind: 'upload-pack', body: new TextEncoder().encode('want') })
    await proxyGit(upstream, headers, { kind: 'advertise' })

    expect(await answer.text()).toBe('pack')
    expect([...answer.headers]).toEqual([['content-type', 'application/x-git-upload-pack-result']])
    expect(asked.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['POST', '/maria/shop.git/git-upload-pack', 'want'],
      ['GET', '/maria/shop.git/info/refs?service=git-upload-pack', ''],
    ])
    for (const { headers: sent } of asked) {
      expect(sent.authorization).toBe(`Basic ${Buffer.from(`x-access-token:${secret}`).toString('base64')}`)
      expect(sent['git-protocol']).toBe('version=2')
      expect(JSON.stringify(sent)).not.toMatch(/of the agent|session|Basic agent|evil/)
    }
  })

  test.for([301, 302, 307, 308])('a redirect (%i) is not followed and takes no credential anywhere', async (status) => {
    const elsewhere = await scripted(200)
    const { upstream } = await scripted(status, { location: `${elsewhere.root}/stolen` })
    await expect(proxyGit(upstream, new Headers(), { kind: 'advertise' })).rejects.toThrow(RetryLater)
    expect(elsewhere.asked).toEqual([])
  })

  test('what the forge refuses reaches the client as it is, without its headers', async () => {
    const { upstream } = await scripted(404, { 'www-authenticate': 'Basic realm="forge"' }, 'no')
    const answer = await proxyGit(upstream, new Headers(), { kind: 'advertise' })
    expect([answer.status, await answer.text(), answer.headers.get('www-authenticate')]).toEqual([404, 'no', null])
  })

  test('a forge that is away is no answer, and the error says nothing of the credential', async () => {
    const upstream = { url: 'http://127.0.0.1:9/maria/shop.git', token: async () => secret }
    const error = await proxyGit(upstream, new Headers(), { kind: 'advertise' }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(RetryLater)
    const seen = JSON.stringify([error, (error as Error).cause, String((error as Error).cause), (error as Error).stack])
    expect(seen).not.toContain(secret)
    expect(seen).not.toContain(Buffer.from(`x-access-token:${secret}`).toString('base64'))
  })

  test('a token that cannot be had is the reason, and nothing is asked', async () => {
    const { asked, upstream } = await scripted(200)
    const token = () => Promise.reject(new RetryLater('suspended'))
    await expect(proxyGit({ ...upstream, token }, new Headers(), { kind: 'advertise' })).rejects.toThrow('suspended')
    expect(asked).toEqual([])
  })
})
