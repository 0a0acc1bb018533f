import * as v from 'valibot'

const Id = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.transform(String))
const Login = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,100}(\[bot\])?$/))
const Account = v.object({ id: Id, login: Login, type: v.string() })
const Issue = v.object({
  id: Id,
  number: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  updated_at: v.pipe(v.string(), v.isoTimestamp()),
})

/** What the gate reads of GitHub's `issue_comment` events. */
export const IssueCommentEvent = v.object({
  action: v.literal('created'),
  issue: Issue,
  comment: v.object({
    id: Id,
    body: v.string(),
    user: Account,
    performed_via_github_app: v.optional(v.unknown()),
  }),
  sender: Account,
})
export type IssueCommentEvent = v.InferOutput<typeof IssueCommentEvent>

/** What the gate reads of GitHub's `issues.labeled` events. */
export const LabelEvent = v.object({
  action: v.literal('labeled'),
  issue: Issue,
  label: v.object({ name: v.string() }),
  sender: Account,
})
export type LabelEvent = v.InferOutput<typeof LabelEvent>
