import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { spawnNode, type NodeProcess } from '../support/processes.ts'
import { eventually } from '../support/wait.ts'

const main = fileURLToPath(new URL('../../deploy/local/main.ts', import.meta.url))

function homeFor(): string {
  const home = mkdtempSync(join(tmpdir(), 'start-'))
  chmodSync(home, 0o711)
  onTestFinished(() => rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }))
  return home
}

async function listening(
  handle: Parameters<typeof createServer>[1] = () => {},
): Promise<{ server: Server; port: number }> {
  const server = createServer({}, handle).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  return { server, port: (server.address() as AddressInfo).port }
}

function start(home: string, args: string[] = [], env: Record<string, string> = {}): NodeProcess {
  return spawnNode(main, {
    args: ['--port', '0', ...args],
    env: { CODEX_K8S_HOME: home, HOME: home, ...env },
  })
}

/** How a start ended, with the one line that says why if it went wrong. */
async function endOf({ exited, lines }: NodeProcess): Promise<{ code: number | null; why: string | undefined }> {
  const { code } = await exited
  return { code, why: lines.find((line) => line.startsWith('codex-k8s: ')) }
}

const commandLines = () => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })

describe('npm start', { timeout: 90_000 }, () => {
  test('opens the pull request and ends with 0; the next start keeps the database and makes another repository', async () => {
    const home = homeFor()
    const first = start(home, ['--once'])
    expect(await endOf(first)).toEqual({ code: 0, why: undefined })
    const text = first.lines.join('\n')
    expect(text).toMatch(/maria\/invoice-1 is there/)
    expect(text).toMatch(/agent\/1-[0-9a-f]{10} +8 passed, 0 failed/)
    expect(text).toMatch(/main +6 passed, 2 failed/)
    expect(text).toMatch(/\+ {2}return Math\.round/)

    const second = start(home, ['--once', '--processes', '--gate'])
    expect(await endOf(second)).toEqual({ code: 0, why: undefined })
    expect(second.lines.join('\n')).toMatch(/maria\/invoice-2 is there/)
    expect(second.lines.join('\n')).toMatch(/jonas comments \/approve [0-9a-f]{12}/)
    expect(second.lines.join('\n')).toMatch(/Approved by @jonas/)
    const ledger = readFileSync(join(home, 'forge', 'ledger.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
    const pulls = ledger
      .map((line) => JSON.parse(line) as { kind: string; id?: number })
      .filter(({ kind }) => kind === 'pull.created')
    expect(pulls).toHaveLength(2)
    expect(new Set(pulls.map(({ id }) => id)).size).toBe(2)
  })

  test('with --revise the reviewed pull request gets a second commit, by the same session of the agent', async () => {
    const running = start(homeFor(), ['--once', '--revise'])
    expect(await endOf(running)).toEqual({ code: 0, why: undefined })
    const text = running.lines.join('\n')
    expect(text).toMatch(/maria reviews pull request #2: "This rounds whatever/)
    expect(text).toMatch(/run of dev on #2, the stage by change_run/)
    expect(text).toMatch(/Goes on with #2 at `[0-9a-f]{12}`, as the review of maria asks\./)
    expect(text).toMatch(/agent\/1-[0-9a-f]{10} +9 passed, 0 failed/)
    expect(text).toMatch(
      /as it is now\n\n {2}\S{12} {2}Fix: .*\n {2}\S{12} {2}Refuse prices with more than two decimals/,
    )
    expect(text).toMatch(/went on with its session [0-9a-f-]{36}/)
  })

  test('stays up, refuses a second copy, and Ctrl-C ends every process of it with 0', async () => {
    const home = homeFor()
    const running = start(home)
    await running.waitForLine(/Try next/, 60_000)
    const second = start(home)
    expect(await second.exited).toMatchObject({ code: 1 })
    expect(second.lines.at(-1)).toMatch(/another copy is running here already \(process \d+\)/)
    expect(commandLines()).toContain(home)
    expect(await running.kill('SIGINT')).toEqual({ code: 0, signal: null })
    await eventually(() => !commandLines().includes(home), { what: 'every process to be gone' })
  })

  test('says in one line that a part of it was killed, and ends with 1', async () => {
    const home = homeFor()
    const running = start(home)
    await running.waitForLine(/Try next/, 60_000)
    const pid = Number(readFileSync(join(home, 'database', 'postmaster.pid'), 'utf8').split('\n')[0])
    process.kill(pid, 'SIGKILL')
    expect(await running.exited).toMatchObject({ code: 1 })
    expect(running.lines.filter((line) => line.startsWith('codex-k8s: '))).toHaveLength(1)
    const again = start(home, ['--once'])
    expect(await endOf(again)).toEqual({ code: 0, why: undefined })
  })

  test('ends with 1 and the reason when no pull request comes of it', async () => {
    const refusing = await listening((_, response) => {
      response
        .writeHead(400, { 'content-type': 'application/json' })
        .end('{"error":{"code":"invalid_prompt","message":"no"}}')
    })
    const home = homeFor()
    const running = start(home, ['--once', '--unsafe-no-sandbox'], {
      OPENAI_API_KEY: 'sk-test',
      OPENAI_BASE_URL: `http://127.0.0.1:${refusing.port}/v1`,
    })
    expect(await running.exited).toMatchObject({ code: 1 })
    expect(running.lines.at(-1)).toMatch(/^codex-k8s: the run failed: model_refused/)
    expect(running.lines.join('\n')).not.toContain('sk-test')
  })

  test('names the port that is in use', async () => {
    const { port } = await listening()
    const home = homeFor()
    const running = spawnNode(main, {
      args: ['--once', '--port', String(port)],
      env: { CODEX_K8S_HOME: home, HOME: home },
    })
    expect(await running.exited).toMatchObject({ code: 1 })
    expect(running.lines.at(-1)).toBe(`codex-k8s: port ${port} is in use: choose another with npm start -- --port N`)
  })

  test('says what is wrong with an option, and how they are used', async () => {
    const running = spawnNode(main, { args: ['--twice'] })
    expect(await running.exited).toMatchObject({ code: 2 })
    expect(running.lines[0]).toMatch(/^codex-k8s: Unknown option '--twice'/)
    expect(running.lines).toContain('npm start -- [OPTION]...')
  })

  test('says that git is missing', async () => {
    const script = fileURLToPath(new URL('../../deploy/with-node.mjs', import.meta.url))
    const running = spawnNode(script, { args: ['deploy/local/main.ts', '--help'], env: { PATH: '/nowhere' } })
    expect(await running.exited).toMatchObject({ code: 1 })
    expect(running.lines.join('\n')).toMatch(/git/)
  })
})
