import { randomBytes, verify } from 'node:crypto'

import type { Acting, State } from './engine.ts'
import type { App, Installation } from './forge.ts'
import { ApiError, isObject } from './reply.ts'
import type { Json } from './reply.ts'
import type { UserRow } from './rows.ts'

/** An installation token and what it may do. */
export interface InstallationToken {
  readonly token: string
  readonly expiresAt: Date
  readonly permissions: Readonly<Record<string, string>>
  readonly repositories: 'all' | readonly number[]
}

/** Who sends a request. */
export type Caller =
  | { readonly kind: 'anonymous'; readonly key: string }
  | { readonly kind: 'user'; readonly key: string; readonly user: UserRow }
  | { readonly kind: 'app'; readonly key: string; readonly app: App }
  | {
      readonly kind: 'installation'
      readonly key: string
      readonly app: App
      readonly installation: Installation
      readonly user: UserRow
      readonly grant: InstallationToken
    }

/** The tokens of a forge. */
export interface Credentials {
  add(token: string, user: UserRow): void
  issue(
    app: App,
    installation: Installation,
    grant: Pick<InstallationToken, 'permissions' | 'repositories'>,
  ): InstallationToken
  /** Make installation tokens (one or all) expire now. */
  expire(token?: string): number
  /** Every installation token that was ever given out. */
  issued(): string[]
  /** Who an Authorization header names; throws 401 for a header that names nobody. */
  identify(header: string | undefined): Caller
}

const HOUR = 3_600_000

/** Token store and verifier of App JWTs. */
export function createCredentials(apps: readonly App[], now: () => number = Date.now): Credentials {
  const users = new Map<string, UserRow>()
  const issued = new Map<string, { app: App; installation: Installation; grant: InstallationToken }>()

  return {
    add: (token, user) => void users.set(token, user),
    issue(app, installation, grant) {
      const token = `ghs_${randomBytes(27).toString('base64url').replace(/[-_]/g, '0')}`
      const made = { ...grant, token, expiresAt: new Date(Math.floor((now() + HOUR) / 1000) * 1000) }
      issued.set(token, { app, installation, grant: made })
      return made
    },
    expire(token) {
      const affected = token === undefined ? [...issued] : [...issued].filter(([known]) => known === token)
      for (const [key, entry] of affected)
        issued.set(key, { ...entry, grant: { ...entry.grant, expiresAt: new Date(0) } })
      return affected.length
    },
    issued: () => [...issued.keys()],
    identify(header) {
      if (header === undefined) return { kind: 'anonymous', key: 'anonymous' }
      const [, scheme = '', value = ''] = /^(\w+)\s+(.+)$/.exec(header.trim()) ?? []
      const token = scheme.toLowerCase() === 'basic' ? passwordOf(value) : value
      if (token.split('.').length === 3) {
        const app = verifyJwt(token, apps, now())
        return { kind: 'app', key: `app ${app.id}`, app }
      }
      const user = users.get(token)
      if (user) return { kind: 'user', key: token, user }
      const entry = issued.get(token)
      if (!entry || entry.grant.expiresAt.getTime() <= now()) throw new ApiError(401, 'Bad credentials')
      return { kind: 'installation', key: token, user: entry.app.bot, ...entry }
    },
  }
}

const passwordOf = (basic: string) => {
  const text = Buffer.from(basic, 'base64').toString('utf8')
  const password = text.slice(text.indexOf(':') + 1)
  return password === '' || password === 'x-oauth-basic' ? text.slice(0, text.indexOf(':')) : password
}

function verifyJwt(token: string, apps: readonly App[], now: number): App {
  const undecodable = new ApiError(401, 'A JSON web token could not be decoded')
  const [header = '', payload = '', signature = ''] = token.split('.')
  const claims = decode(payload)
  if (decode(header)?.['alg'] !== 'RS256' || !claims) throw undecodable
  const issuer = String(claims['iss'])
  const app = apps.find(({ id, clientId }) => issuer === String(id) || issuer === clientId)
  if (!app) throw new ApiError(401, 'Integration not found')
  if (!verify('RSA-SHA256', Buffer.from(`${header}.${payload}`), app.publicKey, Buffer.from(signature, 'base64url'))) {
    throw undecodable
  }
  const { exp, iat } = claims
  const seconds = now / 1000
  if (typeof exp !== 'number' || exp <= seconds) {
    throw new ApiError(
      401,
      "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
    )
  }
  if (exp > seconds + 600 + 60) throw new ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
  if (typeof iat !== 'number' || iat > seconds + 60) {
    throw new ApiError(
      401,
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
    )
  }
  return app
}

function decode(part: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** As whom the emulator handles a caller's request. */
export function actingAs(caller: Caller, state: State): Acting {
  if (caller.kind === 'installation') {
    const { app, installation, grant, user } = caller
    return {
      login: user.login,
      id: user.id,
      scopes: [],
      installation: {
        installationId: installation.id,
        appId: app.id,
        accountId: installation.account.id,
        accountType: 'User',
        permissions: grant.permissions,
        repositoryIds: grant.repositories === 'all' ? [] : grant.repositories,
        repositorySelection: grant.repositories === 'all' ? 'all' : 'selected',
      },
    }
  }
  const user = caller.kind === 'user' ? caller.user : state.users.findOneBy('login', 'ghost')
  return { login: user?.login ?? 'ghost', id: user?.id ?? 0, scopes: ['repo', 'user', 'admin:repo_hook'] }
}
