import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GitHubAuth } from './client.ts'

/**
 * Our identity from a mounted directory: the files `app-id` and `private-key.pem` (a GitHub App), or `token` (a machine user). Read once,
 * at start. Throws an Error that says which file is missing, empty or one too many, and never what is in it.
 */
export function readGitHubAuth(dir: string): GitHubAuth {
  const [appId, privateKey, token] = ['app-id', 'private-key.pem', 'token'].map((name) => readText(dir, name))
  const wrong = (problem: string) => new Error(`${dir}: ${problem}`)
  if (token !== undefined && (appId !== undefined || privateKey !== undefined)) {
    throw wrong('has both `token` and files of a GitHub App; keep one of the two')
  }
  if (token !== undefined) {
    if (!/^[\x21-\x7e]+$/.test(token)) throw wrong('`token` is empty or has characters that no token has')
    return { kind: 'token', token }
  }
  if (appId === undefined && privateKey === undefined) {
    throw wrong('has neither `app-id` and `private-key.pem` (a GitHub App) nor `token` (a machine user)')
  }
  if (appId === undefined || privateKey === undefined) {
    throw wrong(`\`${appId === undefined ? 'app-id' : 'private-key.pem'}\` is missing`)
  }
  if (!/^[A-Za-z0-9.]+$/.test(appId)) throw wrong('`app-id` is not an App id or client id')
  if (!privateKey.startsWith('-----BEGIN ')) throw wrong('`private-key.pem` is not a PEM file')
  return { kind: 'app', appId, privateKey }
}

function readText(dir: string, name: string): string | undefined {
  try {
    return readFileSync(join(dir, name), 'utf8').trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new Error(`${dir}: \`${name}\` cannot be read (${code ?? 'unknown'})`, { cause: error })
  }
}
