import type { Forge } from './forge.ts'
import type { New, UserRow } from './rows.ts'

const nodeId = (type: string, id: number) => Buffer.from(`0:${type}${id}`).toString('base64').replace(/=+$/, '')

/** A user of the forge. */
export function addUser(
  { state }: Pick<Forge, 'state'>,
  {
    login,
    id,
    type = 'User',
    name = null,
    email = null,
  }: { login: string; id?: number | undefined; type?: 'User' | 'Bot'; name?: string | null; email?: string | null },
): UserRow {
  const row = state.users.insert({
    ...(id === undefined ? {} : { id }),
    login,
    node_id: '',
    avatar_url: '',
    gravatar_id: '',
    type,
    site_admin: false,
    name,
    email,
    company: null,
    blog: '',
    location: null,
    hireable: null,
    bio: null,
    twitter_username: null,
    public_repos: 0,
    public_gists: 0,
    followers: 0,
    following: 0,
  } as New<UserRow>)
  return (
    state.users.update(row.id, {
      node_id: nodeId(type, row.id),
      email: email ?? `${row.id}+${login}@users.noreply.github.com`,
    }) ?? row
  )
}
