import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { bundleCommandLine } from '../../deploy/bundle-command-line.ts'

/** How the tool ended, and what it said. */
export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** The token in the kubeconfig of tests. */
export const TOKEN = 'canary-token-0f4e1c'

/** The built tool, for the tests of a file: run as a process, with the kubeconfig given, else one that names no real cluster. */
export function knCodex(): (args: readonly string[], kubeconfig?: string) => Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), 'kn-codex-'))
  const tool = join(folder, 'kn-codex')
  beforeAll(async () => void (await bundleCommandLine(tool)))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return async (args, kubeconfig = kubeconfigFor('http://127.0.0.1:65530', { token: TOKEN })) => {
    const child = spawn(process.execPath, [tool, ...args], {
      env: { KUBECONFIG: kubeconfig, HOME: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
    return { code: child.exitCode, out, err }
  }
}

/** A kubeconfig for an API server without TLS; the file goes with the test. */
export function kubeconfigFor(server: string, user: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'config')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    // The client takes no http without it.
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'me', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'me' } }],
  }
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 })
  return path
}
