import * as v from 'valibot'

const Id = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.transform(String))

/** What the router reads of GitHub's `issues` events; the rest of the body is the forge's. */
export const IssuesEvent = v.object({
  action: v.string(),
  issue: v.object({
    id: Id,
    number: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    title: v.string(),
    body: v.nullable(v.string()),
    updated_at: v.pipe(v.string(), v.isoTimestamp()),
    pull_request: v.optional(v.unknown()),
  }),
  label: v.optional(v.object({ name: v.string() })),
  // It stands in commits and comments: letters, digits and hyphens, `[bot]` for an App.
  sender: v.object({
    id: Id,
    login: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,100}(\[bot\])?$/)),
    type: v.string(),
  }),
  repository: v.object({ id: Id, full_name: v.string() }),
})
export type IssuesEvent = v.InferOutput<typeof IssuesEvent>
