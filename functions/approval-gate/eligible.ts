import type { ApprovalPolicy } from '#shared/job/bundle.ts'

/** Rights on a repository, least first. */
const permissions = ['none', 'read', 'triage', 'write', 'maintain', 'admin']

/** Somebody by their numeric id, and what the forge says now of the login they act under. */
export interface Person {
  readonly id: string
  readonly now: { readonly actorId: string; readonly permission: string }
}

/** Whether the policy lets this person decide, as of now. By numeric id: a login can be taken over. */
export function isEligible({ id, now }: Person, policy: ApprovalPolicy): boolean {
  if (policy.users.includes(id)) return true
  return id === now.actorId && permissions.indexOf(now.permission) >= permissions.indexOf(policy.permission)
}
