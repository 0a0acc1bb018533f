import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Person } from './forge.ts'
import type { Answer, IssueScript } from './history.ts'
import type { System } from './system.ts'

/** An issue as people opened it. */
export interface OpenedIssue {
  readonly script: IssueScript
  /** `maria/shop-1` */
  readonly repository: string
  readonly number: number
}

/** People who read what the service comments say and do what it asks them for. */
export interface Reviewers {
  /** Revisions that were asked for, by issue: `maria/shop-1#7`. */
  readonly revisions: ReadonlyMap<string, number>
  /** Whether everybody has had the revision that they wanted to ask for. */
  idle(): boolean
  stop(): Promise<void>
}

/** A service comment that somebody could act on. */
interface Comment {
  readonly body: string
}

/** Between two looks at all issues, and until somebody repeats what has had no effect, milliseconds. */
const LOOK_MS = 1_000
const AGAIN_MS = 15_000

/**
 * Starts them: whoever may approve answers each run that waits as its issue's script says, and whoever wants another
 * revision asks for it once there is a pull request. They see what the forge shows and nothing else, and come again.
 */
export function startReviewers({ forge, ports, db }: System, issues: readonly OpenedIssue[]): Reviewers {
  const revisions = new Map<string, number>()
  const acted = new Map<string, number>()
  const stopped = new AbortController()
  const isDue = (key: string) => performance.now() - (acted.get(key) ?? -Infinity) > AGAIN_MS
  const wanting = () =>
    issues.filter(({ script, ...issue }) => script.revise !== undefined && !revisions.has(keyOf(issue)))

  const answer = async (issue: OpenedIssue, run: string, digest: string) => {
    const path = `/repos/${issue.repository}/issues/${issue.number}`
    const comment = (who: Person, body: string) => forge.person(who, 'POST', `${path}/comments`, { body })
    const how: Record<Answer, () => Promise<unknown>> = {
      comment: () => comment('walt', `/approve ${digest}`),
      async label() {
        // The label of an earlier run says nothing about this one.
        await forge.person('walt', 'DELETE', `${path}/labels/approve:dev`).catch(() => {})
        await forge.person('walt', 'POST', `${path}/labels`, { labels: ['approve:dev'] })
      },
      api: () => decide(ports['approval-gate'], run, digest),
      async 'not theirs to give'() {
        await comment('maria', `/approve ${digest}`)
        await comment('theo', `/approve ${digest}`)
        await comment('walt', `/approve ${digest}`)
      },
      deny: () => comment('walt', '/deny not like this'),
      // Time passes: nobody answers.
      expire: () =>
        db
          .updateTable('approvals')
          .set({ expires_at: sql`now() - interval '1 second'` })
          .where('run_id', '=', run)
          .where('state', '=', 'pending')
          .execute(),
    }
    await how[issue.script.answer]()
  }
  const revise = async (issue: OpenedIssue, pull: string) => {
    const by = issue.script.revise
    if (by === undefined || revisions.has(keyOf(issue))) return
    const base = `/repos/${issue.repository}`
    if (by === 'label')
      await forge.person('maria', 'POST', `${base}/issues/${issue.number}/labels`, { labels: ['run:dev:revise'] })
    else
      await forge.person('maria', 'POST', `${base}/pulls/${pull}/reviews`, {
        event: 'REQUEST_CHANGES',
        body: 'Once more.',
      })
    revisions.set(keyOf(issue), 1)
  }
  const look = async (issue: OpenedIssue) => {
    const path = `/repos/${issue.repository}/issues/${issue.number}/comments?per_page=100`
    const comments = (await forge.person('maria', 'GET', path)) as Comment[]
    for (const { body } of comments) {
      const run = /codex-k8s:run:([0-9a-f-]{36})/.exec(body)?.[1]
      if (run === undefined) continue
      const digest = /`\/approve ([0-9a-f]{12,64})`/.exec(body)?.[1]
      if (digest !== undefined && isDue(run)) {
        acted.set(run, performance.now())
        await answer(issue, run, digest)
      }
      const pull = /\*\*`run:dev` is done\*\*[^]*Pull request: #(\d+)/.exec(body)?.[1]
      if (pull !== undefined) await revise(issue, pull)
    }
  }
  const run = async () => {
    while (!stopped.signal.aborted) {
      // A forge that answers with an error is asked again next time.
      for (const issue of issues) await look(issue).catch(() => {})
      await sleep(LOOK_MS, undefined, { signal: stopped.signal }).catch(() => {})
    }
  }
  const running = issues.some(({ script }) => script.isGated || script.revise !== undefined) ? run() : undefined
  return {
    revisions,
    idle: () => wanting().length === 0,
    async stop() {
      stopped.abort()
      await running
    },
  }
}

export const keyOf = ({ repository, number }: Pick<OpenedIssue, 'repository' | 'number'>) => `${repository}#${number}`

/** walt's decision by the gate's own door; any replica may be away. */
async function decide(ports: readonly number[], run: string, digest: string): Promise<void> {
  for (const port of ports) {
    const answered = await fetch(`http://127.0.0.1:${port}/v1/runs/${run}/decisions`, {
      method: 'POST',
      headers: { authorization: 'Bearer walt-token', 'content-type': 'application/json', 'idempotency-key': digest },
      body: JSON.stringify({ decision: 'approve', digest }),
      signal: AbortSignal.timeout(10_000),
    }).then(
      async (response) => (await response.arrayBuffer(), response.ok),
      () => false,
    )
    if (answered) return
  }
}
