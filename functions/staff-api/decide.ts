import type { Row, RunState } from '#shared/db/schema.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'

export type Role = Row<'grants'>['role']

/** A role that somebody has, on one project or, without one, on all. */
export interface Held {
  readonly role: Role
  readonly project: string | null
}

/** What a request needs: a role on a project or, with null, on all. */
export type Need = Held

const ranks: readonly Role[] = ['viewer', 'operator', 'admin']

/**
 * Whether somebody may do what needs a role. `invisible`: they have no role there at all, and are told no more than that there
 * is nothing.
 */
export function decideAccess(held: readonly Held[], need: Need): 'allowed' | 'forbidden' | 'invisible' {
  const here = held.filter(({ project }) => project === null || project === need.project)
  // A word that is no role is worth nothing.
  const most = Math.max(-1, ...here.map(({ role }) => ranks.indexOf(role)))
  if (most === -1) return 'invisible'
  return most >= ranks.indexOf(need.role) ? 'allowed' : 'forbidden'
}

/** The projects of which somebody may see something. */
export function visibleProjects(held: readonly Held[]): 'all' | readonly string[] {
  const real = held.filter(({ role }) => ranks.includes(role))
  const projects = real.flatMap(({ project }) => (project === null ? [] : [project]))
  return real.some(({ project }) => project === null) ? 'all' : [...new Set(projects)]
}

/** Cancelling is asked for a run in this state. */
export function decideCancel(state: RunState, isActive: boolean): 'cancel' | 'cancelled' | 'over' {
  if (isActive) return 'cancel'
  return state === 'cancelled' ? 'cancelled' : 'over'
}

/** Ends that the same input need not have again: what was around it failed, or an agent that may find another way. */
const worthAnother: readonly ReasonCode[] = [
  'job_refused',
  'job_name_conflict',
  'agent_lost',
  'agent_failed',
  'agent_gave_no_result',
  'agent_silent',
  'budget_exhausted',
  'clone_failed',
  'deadline_exceeded',
  'model_refused',
  'model_unavailable',
  'result_too_large',
  'sandbox_unavailable',
  'stopped',
  'nothing_to_publish',
]

/** What a retry is decided on, under the lock of the run's subject. */
export interface RetryFacts {
  readonly state: RunState
  readonly reason: string | null
  readonly connected: boolean
  /** A run of the same stage and subject that was asked for later. */
  readonly newer: boolean
  /** A run of the same stage and subject that is not over. */
  readonly active: boolean
}

/** Why a run is not retried; the codes of the contract. */
export type NoRetry = 'not_failed' | 'not_retryable' | 'newer_run' | 'run_active' | 'not_connected'

/** Whether a failed run gets another one with the same input. */
export function decideRetry({ state, reason, connected, newer, active }: RetryFacts): 'retry' | NoRetry {
  if (state !== 'failed') return 'not_failed'
  if (!(worthAnother as readonly string[]).includes(reason ?? '')) return 'not_retryable'
  if (!connected) return 'not_connected'
  if (active) return 'run_active'
  return newer ? 'newer_run' : 'retry'
}

/** What a person wrote, as one line: control characters and the ends of lines are spaces. */
export function oneLine(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, 300)
}
