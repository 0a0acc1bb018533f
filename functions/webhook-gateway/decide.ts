import { extensionsOf } from './extensions.ts'
import { attributesOf, type Attributes } from './github-adapter.ts'
import { at, textAt, type JsonObject } from './json.ts'
import type { BodyFault } from './limits.ts'
import { isBodyOf } from './shapes.ts'

/** What a delivery is bound to. */
export interface Project {
  readonly id: string
  readonly repositoryId: string
  readonly state: 'connected' | 'disconnected'
  readonly settings: unknown
}

/** An authentic delivery with everything that the decision rests on. */
export interface Delivery {
  /** `X-GitHub-Event`, which the signature does not cover. */
  readonly event: string
  readonly body: JsonObject
  /** RFC 3339. */
  readonly receivedAt: string
  /** Whether the hook belongs to an App and not to one project. */
  readonly isAppHook: boolean
  /** The hook's project; for an App's hook the one found by the body. */
  readonly project: Project | undefined
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
      readonly extensions: Readonly<Record<string, string | undefined>>
    }
  | { readonly kind: 'quarantine'; readonly projectId: string | null; readonly reason: Reason }

/** The repository of a body, as text; forges never reuse its number, while its name may pass to somebody else. */
export function repositoryIdOf(body: JsonObject): string | undefined {
  return typeof at(body, 'repository.id') === 'number' ? textAt(body, 'repository.id') : undefined
}

/** Decides what an authentic delivery becomes. */
export function decide({ event, body, receivedAt, isAppHook, project }: Delivery): Decision {
  const projectId = project?.id ?? null
  const quarantine = (reason: Reason): Decision => ({ kind: 'quarantine', projectId, reason })
  const repositoryId = repositoryIdOf(body)
  // A hook speaks for its project only; without a repository nothing says so, but for the ping, which starts nothing.
  const needsRepository = at(body, 'repository') !== undefined || !(isAppHook || event === 'ping')
  if (needsRepository) {
    if (repositoryId === undefined) return quarantine('repository_missing')
    if (project === undefined) return quarantine('project_unknown')
    if (project.repositoryId !== repositoryId) return quarantine('repository_mismatch')
  }
  if (project?.state === 'disconnected') return quarantine('project_disconnected')
  if (!isBodyOf(event, body)) return quarantine('event_mismatch')
  const attributes = attributesOf(event, body, receivedAt)
  if (attributes === undefined) return quarantine('attribute_missing')
  return { kind: 'accept', projectId, attributes, extensions: extensionsOf(body, project) }
}
