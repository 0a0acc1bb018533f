import type { Row } from '#shared/db/schema.ts'
import { refusalOf } from '#shared/workflow/refusals.ts'
import { code } from './code.ts'
import type { Gate } from './decide.ts'

/** Digits of the digest that people are shown: as many as a command needs. */
const SHOWN_DIGITS = 12

/** Refused decisions that are shown, the newest. */
const SHOWN_REFUSED = 3

/** What has to be approved and how, or who decided; and whose decision did not count, with what to do. */
export function approval({ approval: asked, decisions }: Gate, run: Row<'runs'>): string[] {
  const counted = decisions.filter(({ refusal }) => refusal === null)
  const lines = asked.state === 'pending' ? howTo(asked, counted, run) : decided(asked, counted)
  const refused = [...notCounted(decisions)].slice(-SHOWN_REFUSED)
  return refused.length === 0 ? lines : [...lines, refused.join('\n')]
}

function howTo(asked: Gate['approval'], counted: Gate['decisions'], run: Row<'runs'>): string[] {
  const { policy, bundle_digest: digest, expires_at: until } = asked
  const not = [
    ...(policy.excludeRequester ? [`@${run.requester_login}, who asked`] : []),
    ...(policy.excludeAuthor === false ? [] : ['who wrote the text']),
  ]
  const named = policy.users.length > 0 ? ', or named in the policy' : ''
  const except = not.length > 0 ? ` (not ${not.join(', and not ')})` : ''
  const label = policy.label == null ? '' : `, or set the label \`${policy.label}\``
  const soFar = counted.length > 0 ? ` (${names(counted)})` : ''
  return [
    `**Next:** to let exactly this start, comment \`/approve ${digest.slice(0, SHOWN_DIGITS)}\`${label}; to refuse it, comment \`/deny\` with a reason. The command has to be the whole comment.`,
    `${people(policy.quorum)} with ${policy.permission} access${named}${except}, until ${utc(until)}. So far ${counted.length} of ${policy.quorum}${soFar}.`,
  ]
}

function decided({ state }: Gate['approval'], counted: Gate['decisions']): string[] {
  const [approvers, denier] = [
    counted.filter(({ decision }) => decision === 'approve'),
    counted.find(({ decision }) => decision === 'deny'),
  ]
  if (state === 'denied' && denier !== undefined) return [`Denied by ${names([denier])}.`]
  return state === 'approved' && approvers.length > 0 ? [`Approved by ${names(approvers)}.`] : []
}

/** A line for each person and cause, in the order in which they came last. */
function notCounted(decisions: Gate['decisions']): Iterable<string> {
  const lines = new Map<string, { who: string; refusal: string; times: number }>()
  for (const { actor_id, actor_login: who, refusal } of decisions) {
    if (refusal === null || refusalOf(refusal).silent === true) continue
    const key = `${actor_id} ${refusal}`
    const times = (lines.get(key)?.times ?? 0) + 1
    lines.delete(key)
    lines.set(key, { who, refusal, times })
  }
  return [...lines.values()].map(({ who, refusal, times }) => {
    const { says, next } = refusalOf(refusal)
    return `- Not counted${times > 1 ? ` (${times} times)` : ''}: ${code(who, 100)} ${says}. ${next}`
  })
}

const people = (count: number) => (count === 1 ? 'One person' : `${count} people`)
const names = (decisions: Gate['decisions']) => decisions.map(({ actor_login: login }) => `@${login}`).join(', ')
const utc = (time: Date) => `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
