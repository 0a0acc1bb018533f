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
  // A word that is no permission grants nothing, on either side.
  const least = permissions.indexOf(policy.least)
  return least !== -1 && permissions.indexOf(actor.now.permission) >= least
}

/** The policy in a project's settings; without one, people with write access. It may ask for more than that, never for less. */
export function askPolicy(settings: object): AskPolicy {
  const { ask } = settings as { ask?: { least?: unknown; bots?: unknown } }
  const least = (ask?.least ?? 'write') as Permission
  const weaker = permissions.indexOf(least) !== -1 && permissions.indexOf(least) < permissions.indexOf('write')
  return { least: weaker ? 'write' : least, bots: Array.isArray(ask?.bots) ? ask.bots.map(String) : [] }
}
