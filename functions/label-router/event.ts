import * as v from 'valibot'

const Id = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.transform(String))

const Ordinal = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const Time = v.pipe(v.string(), v.isoTimestamp())
const Label = v.object({ name: v.string() })
// It stands in commits and comments: letters, digits and hyphens, `[bot]` for an App.
const Sender = v.object({
  id: Id,
  login: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,100}(\[bot\])?$/)),
  type: v.string(),
})
const Repository = v.object({ id: Id, full_name: v.string() })
const Commit = v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/))

/** What the router reads of GitHub's `issues` events; the rest of the body is the forge's. */
export const IssuesEvent = v.object({
  action: v.string(),
  issue: v.object({
    id: Id,
    number: Ordinal,
    title: v.string(),
    body: v.nullable(v.string()),
    updated_at: Time,
    pull_request: v.optional(v.unknown()),
  }),
  label: v.optional(Label),
  sender: Sender,
  repository: Repository,
})
export type IssuesEvent = v.InferOutput<typeof IssuesEvent>

/** The same of `pull_request` events. Their pull request has an id of its own, which is not the one that its issue side has. */
export const PullRequestEvent = v.object({
  action: v.picklist(['labeled', 'unlabeled']),
  pull_request: v.object({ number: Ordinal, updated_at: Time, head: v.object({ sha: Commit }) }),
  label: Label,
  sender: Sender,
  repository: Repository,
})
export type PullRequestEvent = v.InferOutput<typeof PullRequestEvent>

/** The same of `pull_request_review` events. */
export const ReviewEvent = v.object({
  action: v.literal('submitted'),
  review: v.object({
    id: Id,
    state: v.literal('changes_requested'),
    body: v.nullable(v.string()),
    /** The head that the reviewer looked at. */
    commit_id: Commit,
    submitted_at: Time,
  }),
  pull_request: v.object({ number: Ordinal }),
  sender: Sender,
  repository: Repository,
})
export type ReviewEvent = v.InferOutput<typeof ReviewEvent>
