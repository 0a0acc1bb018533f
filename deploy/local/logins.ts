import { randomBytes } from 'node:crypto'
import { ensureLogins, type Login, type Logins } from '#shared/db/logins.ts'

/** Makes the two logins of one machine on a migrated database, or gives them new passwords. */
export async function createLogins(ownerUrl: string): Promise<Logins> {
  const logins = {
    functions: { user: 'codex_k8s_local_functions', password: randomBytes(24).toString('hex') },
    audit: { user: 'codex_k8s_local_audit', password: randomBytes(24).toString('hex') },
  }
  await ensureLogins(ownerUrl, logins)
  return logins
}

/** The same database, as somebody else. */
export function withLogin(url: string, { user, password }: Login): string {
  const other = new URL(url)
  other.username = user
  other.password = password
  return other.href
}
