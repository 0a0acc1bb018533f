import * as v from 'valibot'
import { Sha256 } from '#shared/digest.ts'

/** A git object name, SHA-1: what GitHub and GitLab serve. */
export const CommitSha = v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/, 'expected a 40-digit commit id'))

/** What a stage's run may change. Paths are globs (picomatch, `dot: true`) against the path from the repository's root. */
export const WriteScope = v.strictObject({
  kind: v.picklist(['none', 'markdown', 'prompts', 'code']),
  /** Never writable, whatever `kind` allows. */
  protected: v.array(v.string()),
  maxFiles: v.pipe(v.number(), v.integer(), v.minValue(0)),
  /** Sum over all blobs of the change, in bytes. */
  maxBytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
})
export type WriteScope = v.InferOutput<typeof WriteScope>

/** Who has to agree before a gated stage starts, and for how long that is asked. */
export const ApprovalPolicy = v.strictObject({
  /** Numeric ids of people who may approve; whoever has at least `permission` may, too. */
  users: v.array(v.string()),
  permission: v.picklist(['write', 'maintain', 'admin']),
  quorum: v.pipe(v.number(), v.integer(), v.minValue(1)),
  excludeRequester: v.boolean(),
  /** Whether the author of the subject may not approve; absent means so. */
  excludeAuthor: v.exactOptional(v.boolean()),
  /** Default name of the label that approves, of the group `approval`; null or absent: no label does. */
  label: v.exactOptional(v.nullable(v.pipe(v.string(), v.regex(/^approve:[a-z][a-z-]{0,40}$/)))),
  expiresAfterSeconds: v.pipe(v.number(), v.integer(), v.minValue(60)),
})
export type ApprovalPolicy = v.InferOutput<typeof ApprovalPolicy>

const Positive = v.pipe(v.number(), v.integer(), v.minValue(1))

/**
 * Everything one run will get, fixed when it is asked for. Its digest, SHA-256 over its RFC 8785 form, is what an
 * approval binds to and the only thing run-gateway serves. Large parts are blobs, named by their SHA-256.
 */
export const Manifest = v.strictObject({
  version: v.literal(1),
  repository: v.strictObject({
    provider: v.picklist(['github', 'gitlab']),
    /** Root of the forge's API, from our configuration, e.g. `https://api.github.com`. */
    instance: v.string(),
    /** The forge's numeric id as text: names move, ids do not. */
    id: v.string(),
    fullName: v.string(),
  }),
  subject: v.strictObject({ kind: v.picklist(['issue', 'pull_request']), number: Positive, id: v.string() }),
  /** The branch the change goes to and the commit it is made against. */
  base: v.strictObject({ ref: v.string(), commit: CommitSha }),
  stage: v.string(),
  /** Our instructions, UTF-8 text. The same bytes whatever the issue says. */
  instructions: Sha256,
  /** What people wrote, as data: `TaskContent` in RFC 8785 form. */
  content: Sha256,
  /** JSON Schema of the agent's final message. */
  outputSchema: Sha256,
  model: v.string(),
  effort: v.picklist(['low', 'medium', 'high', 'xhigh']),
  budget: v.strictObject({
    /** Input and output tokens of the whole run. */
    tokens: Positive,
    /** Most output tokens of one answer of the model. */
    outputTokens: Positive,
    /** Wall time of one attempt, from creation to the end. */
    seconds: Positive,
    /** Longest time without a sign of life of the agent, seconds; `silentSeconds` says what holds where it is absent. */
    silentSeconds: v.exactOptional(Positive),
  }),
  writeScope: WriteScope,
  /** Null: the stage has no gate. */
  gate: v.nullable(ApprovalPolicy),
  image: v.string(),
  /** Digest of the workflow file the stage was read from. */
  workflow: Sha256,
  /** Version of the publishing policy. */
  policy: v.pipe(v.number(), v.integer()),
})
export type Manifest = v.InferOutput<typeof Manifest>

/** How long an agent may give no sign of life, seconds. Not part of the schema: a default there would change the digest. */
export function silentSeconds({ budget }: Pick<Manifest, 'budget'>): number {
  return budget.silentSeconds ?? 600
}

/** What people wrote on the subject, as of the label event. Data, never instructions. */
export const TaskContent = v.strictObject({
  title: v.string(),
  body: v.string(),
  comments: v.array(v.strictObject({ author: v.string(), createdAt: v.string(), body: v.string() })),
})
export type TaskContent = v.InferOutput<typeof TaskContent>

/** Answer of `GET /v1/input`. The receiver checks `digest` against `manifest` before it believes either. */
export const RunInput = v.strictObject({
  run: v.pipe(v.string(), v.uuid()),
  attempt: Positive,
  digest: Sha256,
  manifest: Manifest,
})
export type RunInput = v.InferOutput<typeof RunInput>
