import type { Row } from '#shared/db/schema.ts'

/** Rights on a repository, least first. */
const permissions = ['none', 'read', 'triage', 'write', 'maintain', 'admin'] as const
export type Permission = (typeof permissions)[number]

/** What a project says about who may ask for work. */
export interface AskPolicy {
  readonly least: Permission
  /** Numeric ids of bots that may ask although they are no people. */
  readonly bots: readonly string[]
}

/** The one who asks: as the signed event named them, and as the forge knows the login now. */
export interface Actor {
  readonly id: string
  readonly type: string
  readonly now: { readonly actorId: string; readonly permission: Permission }
}

/** Whether this actor may start work, as of now. By numeric id: a login can be taken over, a display name says nothing. */
export function mayAsk(actor: Actor, policy: AskPolicy): boolean {
  if (policy.bots.includes(actor.id)) return true
  if (actor.type !== 'User' || actor.id !== actor.now.actorId) return false
  return permissions.indexOf(actor.now.permission) >= permissions.indexOf(policy.least)
}

/** The policy of a project; without one, people with write access. */
export function askPolicy(project: Row<'projects'>): AskPolicy {
  const { ask } = project.settings as { ask?: { least?: Permission; bots?: string[] } }
  return { least: ask?.least ?? 'write', bots: ask?.bots ?? [] }
}
