import type { Octokit } from '@octokit/core'
import { RetryLater } from '#shared/errors.ts'
import { ownerAndName, pathName } from './address.ts'
import type { RepositoryRef } from './address.ts'
import { found } from './failure.ts'
import { readRepository } from './repository.ts'

const PERMISSIONS = ['admin', 'maintain', 'write', 'triage', 'read', 'none'] as const
const TYPES = ['User', 'Bot', 'Organization', 'Mannequin'] as const

/** What an account may do in a repository, weakest last. */
export type Permission = (typeof PERMISSIONS)[number]

/** Who an account is and what it may do, as of now. */
export interface ActorPermission {
  /** Empty for a login that nobody has. Compare it with the sender's id: a login can change hands. */
  readonly actorId: string
  readonly type: (typeof TYPES)[number] | 'Unknown'
  readonly permission: Permission
}

/** The permission of a login in a repository. RetryLater where GitHub gave no answer: neither a yes nor a no. */
export async function readActorPermission(
  octokit: Octokit,
  repository: RepositoryRef,
  login: string,
): Promise<ActorPermission> {
  const address = { ...ownerAndName(repository), username: pathName(login) }
  const answer = await found(octokit.request('GET /repos/{owner}/{repo}/collaborators/{username}/permission', address))
  if (answer === undefined) {
    // GitHub says 404 for an unknown login and for a repository that we may not see. Only the first is an answer.
    const seen = await readRepository(octokit, repository)
    if (seen) return { actorId: '', type: 'Unknown', permission: 'none' }
    throw new RetryLater('the repository of a permission lookup is not visible', { seconds: 60 })
  }
  const user = answer.user
  return {
    actorId: user ? String(user.id) : '',
    type: TYPES.find((type) => type === user?.type) ?? 'Unknown',
    permission: permissionOf(answer.role_name) ?? permissionOf(answer.permission) ?? 'none',
  }
}

// `permission` knows no maintain and no triage; `role_name` may be an organisation's own word.
function permissionOf(name: string | undefined): Permission | undefined {
  const word = name === 'push' ? 'write' : name === 'pull' ? 'read' : name
  return PERMISSIONS.find((permission) => permission === word)
}
