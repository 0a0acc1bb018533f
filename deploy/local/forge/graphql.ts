import type { Hono } from 'hono'
import * as v from 'valibot'

import { EDITS_QUERY } from '#shared/forge/github/edits.ts'
import type { EditsAnswer } from '#shared/forge/github/edits.ts'
import { requestContext } from './context.ts'
import type { Env, Forge } from './forge.ts'
import { observe } from './ledger.ts'
import { mayRead } from './permissions.ts'
import { ApiError } from './reply.ts'
import { seconds } from './shapes.ts'

const Ask = v.object({
  query: v.string(),
  variables: v.object({
    owner: v.string(),
    name: v.string(),
    number: v.number(),
    since: v.pipe(v.string(), v.isoTimestamp()),
  }),
})

/**
 * Remembers when bodies were edited, and adds the event of a changed title, which the emulator forgets. What it writes to a
 * new comment after storing it is no edit.
 */
export function followEdits({ state, edited }: Forge): void {
  observe(state.comments, {
    updated(row, before) {
      if (row.body === before.body) Object.assign(row, { updated_at: before.updated_at })
    },
  })
  observe(state.issues, {
    updated(row, before) {
      if (row.body !== before.body) edited.set(row.id, seconds(new Date().toISOString()))
      if (row.title === before.title) return
      const actor = state.users.findOneBy('login', requestContext.getStore()?.actor)
      const event = state.issueEvents.insert({
        node_id: '',
        repo_id: row.repo_id,
        issue_number: row.number,
        event: 'renamed',
        actor_id: actor?.id ?? row.user_id,
        commit_id: null,
        commit_url: null,
        label_name: null,
        assignee_id: null,
        milestone_title: null,
        rename: { from: before.title, to: row.title },
      })
      state.issueEvents.update(event.id, { node_id: Buffer.from(`0:IssueEvent${event.id}`).toString('base64') })
    },
  })
}

/** GraphQL, as far as somebody asks: the one query about edits, word for word. */
export function graphqlRoute(app: Hono<Env>, forge: Forge): void {
  app.post('/graphql', (c) => {
    const caller = c.get('caller')
    if (caller.kind === 'anonymous') throw new ApiError(401, 'Bad credentials')
    const asked = v.safeParse(Ask, c.get('body'))
    if (!asked.success || asked.output.query !== EDITS_QUERY)
      return c.json({
        errors: [{ type: 'undefinedQuery', message: 'This forge knows one query, and this is another one.' }],
      })
    const { owner, name, number, since } = asked.output.variables
    const full = `${owner}/${name}`.toLowerCase()
    const repo = forge.state.repos.all().find(({ full_name }) => full_name.toLowerCase() === full)
    const issue =
      repo && mayRead(forge, caller, repo)
        ? forge.state.issues.findBy('repo_id', repo.id).find((row) => row.number === number)
        : undefined
    if (!repo || !issue) {
      const message = `Could not resolve to an issue or pull request with the number of ${number}.`
      return c.json({ data: { repository: null }, errors: [{ type: 'NOT_FOUND', path: ['repository'], message }] })
    }
    const renamed = forge.state.issueEvents
      .findBy('repo_id', repo.id)
      .filter(
        (event) =>
          event.event === 'renamed' &&
          event.issue_number === number &&
          Date.parse(seconds(event.created_at)) >= Date.parse(since),
      )
    const answer: EditsAnswer = {
      data: {
        repository: {
          issueOrPullRequest: {
            lastEditedAt: forge.edited.get(issue.id) ?? null,
            timelineItems: { nodes: renamed.slice(0, 1).map(() => ({ __typename: 'RenamedTitleEvent' })) },
          },
        },
      },
    }
    return c.json(answer)
  })
}
