import type { Attributes } from './github-adapter.ts'
import type { BodyFault } from './limits.ts'

/** What a delivery is bound to. */
export interface Project {
  readonly id: string
  readonly repositoryId: string
  readonly state: 'connected' | 'disconnected'
  readonly settings: unknown
}

/** Extensions of an event; absent ones are left out. */
export type Extensions = Readonly<Record<string, string | undefined>>

/** What the decision about an authentic delivery rests on. */
export interface Delivery {
  /** Whether the hook belongs to an App and not to one project. */
  readonly isAppHook: boolean
  /** The hook's project; for an App's hook the one found by the body. */
  readonly project: Project | undefined
  readonly isPing: boolean
  readonly namesRepository: boolean
  /** Undefined when the body has no readable one. */
  readonly repositoryId: string | undefined
  /** Whether the body is one of the event that the unsigned header claims. */
  readonly isOfClaimedEvent: boolean
  /** Undefined when the body has no value for one that must be there. */
  readonly attributes: Attributes | undefined
  readonly extensions: Extensions
}

/** Why an authentic delivery is kept without becoming an event. */
export type Reason =
  | BodyFault
  | 'repository_missing'
  | 'repository_mismatch'
  | 'project_unknown'
  | 'project_disconnected'
  | 'event_mismatch'
  | 'attribute_missing'
  | 'delivery_id_reused'
  | 'event_id_taken'

/** An event to publish, or a reason to set the delivery aside. */
export type Decision =
  | {
      readonly kind: 'accept'
      readonly projectId: string | null
      readonly attributes: Attributes
      readonly extensions: Extensions
    }
  | { readonly kind: 'quarantine'; readonly projectId: string | null; readonly reason: Reason }

/** Decides what an authentic delivery becomes. */
export function decide(delivery: Delivery): Decision {
  const { project, attributes, extensions } = delivery
  const projectId = project?.id ?? null
  const quarantine = (reason: Reason): Decision => ({ kind: 'quarantine', projectId, reason })
  // A hook speaks for its project only. Without a repository nothing says which it is, but a ping starts nothing.
  if (delivery.namesRepository || !(delivery.isAppHook || delivery.isPing)) {
    if (delivery.repositoryId === undefined) return quarantine('repository_missing')
    if (project === undefined) return quarantine('project_unknown')
    if (project.repositoryId !== delivery.repositoryId) return quarantine('repository_mismatch')
  }
  if (project?.state === 'disconnected') return quarantine('project_disconnected')
  if (!delivery.isOfClaimedEvent) return quarantine('event_mismatch')
  if (attributes === undefined) return quarantine('attribute_missing')
  return { kind: 'accept', projectId, attributes, extensions }
}
