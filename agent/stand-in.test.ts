import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { CommitSha } from '#shared/job/bundle.ts'
import { FORGE_TOKEN, INSTRUCTIONS, MODEL_KEY, MODEL_TOKEN, RUN_TOKEN } from './testing/gateways.ts'
import type { Gateways } from './testing/gateways.ts'
import { hostileTexts } from './testing/hostile-texts.ts'
import { startRunner } from './testing/runner.ts'
import { demoRepository, failure, finished, gatewaysFor, standIns, success } from './testing/scenario.ts'

describe('a hostile program in place of the CLI', () => {
  test('finds no token of the forge, no model key and no run token; the model token is all it gets', async () => {
    const gateways = await gatewaysFor(demoRepository())
    const runner = startRunner(gateways, standIns.hostile, 'none')
    await finished(runner)
    const found = readFileSync(join(runner.workDir, 'repository/found.json'), 'utf8')
    for (const canary of [FORGE_TOKEN, MODEL_KEY, RUN_TOKEN]) {
      for (const form of [canary, Buffer.from(canary).toString('base64'), Buffer.from(canary).toString('hex')]) {
        expect(found).not.toContain(form)
      }
    }
    const { env } = JSON.parse(found) as { env: Record<string, string> }
    expect(
      Object.keys(env)
        .filter((name) => !name.startsWith('__'))
        .toSorted(),
    ).toEqual(['CODEX_HOME', 'HOME', 'LANG', 'MODEL_TOKEN', 'PATH', 'TMPDIR'])
    expect(env['MODEL_TOKEN']).toBe(MODEL_TOKEN)
  })

  test('cannot hand in a file with a token in it', async () => {
    const gateways = await gatewaysFor(demoRepository())
    await startRunner(gateways, standIns.hostile, 'none').ended
    expect(failure(gateways)).toMatchObject({
      reason: 'agent_failed',
      detail: 'A changed file contains a token of this run.',
    })
    const said = JSON.stringify([gateways.results, gateways.progress, [...gateways.blobs.values()].map(String)])
    expect(said).not.toContain(MODEL_TOKEN)
    expect(said).not.toContain(RUN_TOKEN)
  })
})

describe('a hostile issue', () => {
  test('leaves the prompt, the arguments and the environment of the CLI as they are', async () => {
    // A lone surrogate cannot be in canonical JSON, so not in a bundle either.
    const texts = hostileTexts.map((text) => text.toWellFormed())
    const plain = await gatewaysFor(demoRepository())
    const hostile = await gatewaysFor(demoRepository(), {
      content: {
        title: texts.join(' '),
        body: texts.join('\n\n'),
        comments: texts.map((body) => ({
          author: body.slice(0, 100).toWellFormed(),
          createdAt: '2026-01-01T00:00:00Z',
          body,
        })),
      },
    })
    const [calm, attacked] = [startRunner(plain, standIns.echo, 'none'), startRunner(hostile, standIns.echo, 'none')]
    await finished(calm)
    await finished(attacked)
    const seen = (gateways: Gateways, { workDir }: { workDir: string }): unknown =>
      JSON.parse(String(success(gateways).message['summary']).replaceAll(workDir, '/work'))
    expect(seen(hostile, attacked)).toEqual(seen(plain, calm))
    expect(seen(hostile, attacked)).toMatchObject({ stdin: Buffer.from(INSTRUCTIONS).toString('base64') })
    expect(readFileSync(join(attacked.workDir, 'task/issue.json'), 'utf8')).toBe(
      hostile.blobs.get(hostile.manifest.content)?.toString(),
    )
  })
})

describe('stopping', () => {
  /** The stand-in tells its process id, which is its group's, as its command. */
  async function commandStarted(gateways: Gateways): Promise<number> {
    const text = (): string => gateways.progress.find(({ kind }) => kind === 'command')?.text ?? ''
    await expect.poll(text, { timeout: 10_000 }).toContain('pid')
    return Number(/pid (\d+)/.exec(text())?.[1])
  }

  /** A process that nobody has waited for yet is dead, too. */
  const groupLives = (group: number): boolean =>
    readdirSync('/proc').some((name) => {
      if (!/^\d+$/.test(name)) return false
      try {
        const [state, , member] = readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')
        return Number(member) === group && state !== 'Z'
      } catch {
        return false
      }
    })

  test('on SIGTERM the whole group of the CLI ends, the result says stopped and the exit code is 143', async () => {
    const gateways = await gatewaysFor(demoRepository())
    const runner = startRunner(gateways, standIns.idle, 'none')
    const group = await commandStarted(gateways)
    expect(groupLives(group)).toBe(true)
    runner.child.kill('SIGTERM')
    expect(await runner.ended).toBe(143)
    expect(failure(gateways)).toMatchObject({ reason: 'stopped' })
    await expect.poll(() => groupLives(group)).toBe(false)
  })

  test('the agent is stopped when run-gateway answers a progress line with stop', async () => {
    const gateways = await gatewaysFor(demoRepository(), {
      hook(request, response) {
        if (
          request.url !== '/v1/progress' ||
          gateways.requests.filter((call) => call === 'POST /v1/progress').length < 3
        )
          return false
        response.writeHead(200).end('{"stop":true}')
        return true
      },
    })
    expect(await startRunner(gateways, standIns.idle, 'none').ended).toBe(0)
    expect(failure(gateways)).toMatchObject({ reason: 'stopped' })
  })

  test('a runner touches its heartbeat again and again, whatever the CLI does', async () => {
    const gateways = await gatewaysFor(demoRepository())
    const runner = startRunner(gateways, standIns.idle, 'none')
    const beats = (): number => statSync(runner.heartbeat).mtimeMs
    await commandStarted(gateways)
    await expect.poll(beats).toBeGreaterThan(0)
    const first = beats()
    await expect.poll(beats, { timeout: 15_000 }).toBeGreaterThan(first)
    runner.child.kill('SIGTERM')
    await runner.ended
  })

  test('a CLI that prints nothing for too long is stopped with its whole group', async () => {
    const gateways = await gatewaysFor(demoRepository(), {
      manifest: { budget: { tokens: 1000, outputTokens: 100, seconds: 60, silentSeconds: 1 } },
    })
    const runner = startRunner(gateways, standIns.idle, 'none')
    const group = await commandStarted(gateways)
    expect(await runner.ended).toBe(0)
    expect(failure(gateways)).toMatchObject({
      reason: 'agent_silent',
      detail: 'The CLI printed nothing for 1 seconds.',
    })
    await expect.poll(() => groupLives(group)).toBe(false)
  })

  test('an agent that takes too long is stopped before the deadline of the Job', async () => {
    const gateways = await gatewaysFor(demoRepository(), {
      manifest: { budget: { tokens: 1000, outputTokens: 100, seconds: 2 } },
    })
    expect(await startRunner(gateways, standIns.idle, 'none').ended).toBe(0)
    expect(failure(gateways)).toMatchObject({ reason: 'deadline_exceeded' })
  })
})

describe('what cannot work', () => {
  const hostileCommits = [
    '--upload-pack=touch /tmp/p',
    '-c core.pager=x',
    'HEAD',
    'refs/heads/main',
    '../..',
    'ext::sh -c id',
    `${'0'.repeat(40)}\n`,
    'A'.repeat(40),
    '',
  ]

  test.each(hostileCommits)('the commit %j is refused by the schema', (commit) => {
    expect(v.is(CommitSha, commit)).toBe(false)
  })

  test('an input with such a commit is refused before git is started', async () => {
    const commit = hostileCommits[0] ?? ''
    const gateways = await gatewaysFor(demoRepository(), { manifest: { base: { ref: 'main', commit } } })
    const runner = startRunner(gateways, standIns.idle, 'none')
    await finished(runner)
    expect(failure(gateways)).toMatchObject({ reason: 'input_invalid' })
    expect(gateways.requests.filter((call) => call.includes('/v1/git'))).toEqual([])
    expect(readdirSync(runner.workDir)).toEqual([])
  })

  test('a branch with a hostile name is never given to git', async () => {
    const ref = '--upload-pack=touch /tmp/p'
    const gateways = await gatewaysFor(demoRepository(), {
      manifest: { base: { ref, commit: demoRepository().commit } },
    })
    expect(await startRunner(gateways, standIns.echo, 'none').ended).toBe(0)
    expect(success(gateways).changes).toEqual([])
  })

  test.each(['ext::sh -c id', 'file:///tmp/x', 'ssh://-oProxyCommand=id/x', 'git://x/y', '--upload-pack=id'])(
    'the gateway %j is refused at the start',
    async (url) => {
      const gateways = await gatewaysFor(demoRepository())
      const runner = startRunner({ ...gateways, url }, standIns.idle, 'none')
      expect(await runner.ended).toBe(78)
      expect(runner.printed()).toContain('RUN_GATEWAY_URL')
    },
  )

  test('an input whose digest is not its own is input_invalid', async () => {
    const gateways = await gatewaysFor(demoRepository(), {
      hook(request, response) {
        if (request.url !== '/v1/input') return false
        const input = {
          run: '6e6ed33a-0d4a-4c41-b58f-bb4a36d1a3a8',
          attempt: 1,
          digest: '0'.repeat(64),
          manifest: gateways.manifest,
        }
        response.writeHead(200).end(JSON.stringify(input))
        return true
      },
    })
    expect(await startRunner(gateways, standIns.idle, 'none').ended).toBe(0)
    expect(failure(gateways)).toMatchObject({
      reason: 'input_invalid',
      detail: 'The input does not have the digest it claims.',
    })
  })

  test('a commit that the repository does not have is clone_failed', async () => {
    const gateways = await gatewaysFor(demoRepository(), {
      manifest: { base: { ref: 'main', commit: '0'.repeat(39) + '1' } },
    })
    expect(await startRunner(gateways, standIns.idle, 'none').ended).toBe(0)
    expect(failure(gateways)).toMatchObject({ reason: 'clone_failed' })
  })

  test('a CLI without a working sandbox is sandbox_unavailable', async () => {
    const gateways = await gatewaysFor(demoRepository())
    expect(await startRunner(gateways, '/bin/true', 'workspace-write').ended).toBe(0)
    expect(failure(gateways)).toMatchObject({ reason: 'sandbox_unavailable' })
  })

  test('a result that run-gateway refuses ends with 1', async () => {
    const gateways = await gatewaysFor(demoRepository(), {
      hook(request, response) {
        if (request.url !== '/v1/result') return false
        response.writeHead(409).end()
        return true
      },
    })
    expect(await startRunner(gateways, '/bin/true', 'none').ended).toBe(1)
  })
})
