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

/** What a run works on that goes on with a change that is there: its pull request, and what was said about it. */
export const Revise = v.strictObject({
  /** Id of the change. */
  change: v.pipe(v.string(), v.uuid()),
  /** Number of its pull request. */
  pull: Positive,
  /** The commit that was reviewed or labelled: where the agent starts, and the parent of its commit. Pushed since: stale. */
  head: CommitSha,
  /** How it was asked for, and on which issue or pull request: there the label stands. */
  asked: v.strictObject({ by: v.picklist(['label', 'review']), on: Positive }),
  /** What told the stage. */
  rule: v.picklist(['label', 'pull_request_label', 'issue_label', 'change_run', 'issue_run']),
  /** What people wrote on the pull request, as data: `ReviewContent` in RFC 8785 form. */
  review: Sha256,
  /** Session file of the run before, to go on with; null where it left none. */
  session: v.nullable(Sha256),
})
export type Revise = v.InferOutput<typeof Revise>

/** Bytes as a Kubernetes quantity. */
const Bytes = v.pipe(v.string(), v.regex(/^[1-9][0-9]{0,5}(Mi|Gi)$/, 'expected a quantity such as 512Mi or 4Gi'))

/** What an agent may use at most; what is left out, the installation says. */
export const Resources = v.strictObject({
  /** Processors: `2`, `1500m`. */
  cpu: v.exactOptional(
    v.pipe(v.string(), v.regex(/^([1-9][0-9]{0,2}|[1-9][0-9]{3,5}m)$/, 'expected a quantity such as 2 or 1500m')),
  ),
  /** Memory: `4Gi`. */
  memory: v.exactOptional(Bytes),
  /** Disk, the clone included: `8Gi`. */
  storage: v.exactOptional(Bytes),
})
export type Resources = v.InferOutput<typeof Resources>

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
  /** The image that the agent works in; `codex-k8s/agent` is the installation's own. */
  image: v.string(),
  /** Absent: what the installation says. */
  resources: v.exactOptional(Resources),
  /** Digest of the workflow file the stage was read from. */
  workflow: Sha256,
  /** Version of the publishing policy. */
  policy: v.pipe(v.number(), v.integer()),
  /** Absent: the run makes a change of its own. An agent that does not know the field refuses the bundle. */
  revise: v.optional(Revise),
})
export type Manifest = v.InferOutput<typeof Manifest>

/** How long an agent may give no sign of life, seconds. Not part of the schema: a default there would change the digest. */
export function silentSeconds({ budget }: Pick<Manifest, 'budget'>): number {
  return budget.silentSeconds ?? 600
}

/** The commit that a run's work is against, and the parent of what it makes. */
export function parentOf({ base, revise }: Pick<Manifest, 'base' | 'revise'>): string {
  return revise?.head ?? base.commit
}

/** What people wrote on the subject, as of the label event. Data, never instructions. */
export const TaskContent = v.strictObject({
  title: v.string(),
  body: v.string(),
  comments: v.array(v.strictObject({ author: v.string(), createdAt: v.string(), body: v.string() })),
})
export type TaskContent = v.InferOutput<typeof TaskContent>

/** What people wrote on a pull request, as of the request to revise it. Data, never instructions; of any author. */
export const ReviewContent = v.strictObject({
  title: v.string(),
  body: v.string(),
  /** The final message of the run before, which says what was done; null where there is none. */
  previous: v.nullable(v.strictObject({ title: v.string(), summary: v.string(), tests: v.string() })),
  reviews: v.array(
    v.strictObject({
      author: v.string(),
      /** In lower case: `approved`, `changes_requested`, `commented`, `dismissed`. */
      state: v.string(),
      createdAt: v.string(),
      body: v.string(),
    }),
  ),
  /** Comments on parts of the diff. */
  comments: v.array(
    v.strictObject({
      author: v.string(),
      path: v.string(),
      /** Line of the file at the head that was reviewed; null where the comment names none. */
      line: v.nullable(v.number()),
      /** The part of the diff above the comment, cut from its start. */
      hunk: v.string(),
      createdAt: v.string(),
      body: v.string(),
    }),
  ),
  /** Comments on the pull request as a whole. */
  discussion: TaskContent.entries.comments,
})
export type ReviewContent = v.InferOutput<typeof ReviewContent>

/** Answer of `GET /v1/input`. The receiver checks `digest` against `manifest` before it believes either. */
export const RunInput = v.strictObject({
  run: v.pipe(v.string(), v.uuid()),
  attempt: Positive,
  digest: Sha256,
  manifest: Manifest,
})
export type RunInput = v.InferOutput<typeof RunInput>
