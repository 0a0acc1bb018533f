import * as v from 'valibot'

/** What a collaborator is called. */
export type RoleName = v.InferOutput<typeof Role>

const Mode = v.picklist(['100644', '100755', '120000'])
const File = v.union([v.string(), v.strictObject({ text: v.string(), mode: v.optional(Mode, '100644') })])
const Role = v.picklist(['read', 'triage', 'write', 'maintain', 'admin'])
const Label = v.union([
  v.string(),
  v.strictObject({ name: v.string(), color: v.optional(v.string()), description: v.optional(v.string()) }),
])
const User = v.strictObject({
  login: v.string(),
  id: v.optional(v.number()),
  type: v.optional(v.picklist(['User', 'Bot']), 'User'),
  token: v.optional(v.string()),
  name: v.optional(v.nullable(v.string()), null),
  email: v.optional(v.nullable(v.string()), null),
})

/** What a forge holds when it starts. */
export const Seed = v.strictObject({
  users: v.optional(v.array(User), []),
  repos: v.optional(
    v.array(
      v.strictObject({
        owner: v.string(),
        name: v.string(),
        private: v.optional(v.boolean(), false),
        default_branch: v.optional(v.string(), 'main'),
        description: v.optional(v.nullable(v.string()), null),
        files: v.optional(v.record(v.string(), File), {}),
        collaborators: v.optional(v.record(v.string(), Role), {}),
        labels: v.optional(v.array(Label), []),
      }),
    ),
    [],
  ),
  labels: v.optional(v.array(Label), []),
  app: v.optional(
    v.strictObject({
      app_id: v.number(),
      client_id: v.optional(v.string()),
      slug: v.string(),
      name: v.optional(v.string()),
      bot_id: v.optional(v.number()),
      private_key: v.optional(v.string()),
      installation_id: v.optional(v.number()),
      permissions: v.optional(v.record(v.string(), v.string()), {
        metadata: 'read',
        contents: 'write',
        issues: 'write',
        pull_requests: 'write',
        repository_hooks: 'write',
      }),
      events: v.optional(v.array(v.string()), ['issues', 'issue_comment', 'pull_request', 'pull_request_review']),
      webhook_url: v.optional(v.string()),
      webhook_secret: v.optional(v.string()),
      repositories: v.optional(v.union([v.literal('all'), v.array(v.string())]), 'all'),
    }),
  ),
  rate_limit: v.optional(v.number(), 5000),
  /** Times faster than on GitHub that the time of the secondary limits passes; without it nobody counts. */
  secondary_limits_speed: v.optional(v.number()),
})

/** A seed as it is written down. */
export type SeedInput = v.InferInput<typeof Seed>
/** A seed with its defaults filled in. */
export type SeedValue = v.InferOutput<typeof Seed>

/** A seed with its defaults; throws one line that names the wrong place. */
export function readSeed(input: unknown): SeedValue {
  const parsed = v.safeParse(Seed, input)
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  throw new Error(`seed: ${v.getDotPath(issue) ?? ''}: ${issue.message}`)
}

/** What has to exist for the seed to make sense. */
export function mustExist<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`seed: ${what} does not exist`)
  return value
}
