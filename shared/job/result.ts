import * as v from 'valibot'
import { Sha256 } from '#shared/digest.ts'
import { CommitSha } from '#shared/job/bundle.ts'

/** Largest blob an agent may upload, bytes. */
export const MAX_BLOB_BYTES = 8 * 1024 * 1024

/** Most paths in one result, before the stage's own cap. Keeps the manifest bounded. */
export const MAX_CHANGED_PATHS = 10_000

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** One path against the base commit. A rename is a deletion and an addition. `mode` is git's: blobs, links, gitlinks. */
export const ChangedPath = v.variant('kind', [
  v.strictObject({
    kind: v.literal('write'),
    path: v.pipe(v.string(), v.minLength(1), v.maxLength(4096)),
    mode: v.picklist(['100644', '100755', '120000', '160000']),
    /** SHA-256 of the uploaded blob; of the link's target for 120000; of the commit id's text for 160000. */
    blob: Sha256,
    bytes: Count,
  }),
  v.strictObject({ kind: v.literal('delete'), path: v.pipe(v.string(), v.minLength(1), v.maxLength(4096)) }),
])
export type ChangedPath = v.InferOutput<typeof ChangedPath>

/** Tokens as the CLI counted them. model-gateway's own count is the one that is charged. */
export const Usage = v.strictObject({ inputTokens: Count, cachedInputTokens: Count, outputTokens: Count })

/** Why an attempt ended without a change. The status comment has a sentence and a next step for each. */
export const FailureReason = v.picklist([
  'agent_failed',
  'agent_gave_no_result',
  'agent_silent',
  'budget_exhausted',
  'clone_failed',
  'deadline_exceeded',
  'input_invalid',
  'model_refused',
  'model_unavailable',
  'result_too_large',
  'sandbox_unavailable',
  'stopped',
])
export type FailureReason = v.InferOutput<typeof FailureReason>

/** Body of `POST /v1/result`: the one answer of one attempt. Everything in it comes from the agent's pod and is hostile. */
export const ResultManifest = v.variant('outcome', [
  v.strictObject({
    outcome: v.literal('succeeded'),
    base: CommitSha,
    changes: v.pipe(v.array(ChangedPath), v.maxLength(MAX_CHANGED_PATHS)),
    /** The final message, in the stage's output schema. */
    message: v.record(v.string(), v.unknown()),
    /** Blob of the session file, for `codex exec resume`. */
    session: v.nullable(Sha256),
    log: v.nullable(Sha256),
    usage: Usage,
  }),
  v.strictObject({
    outcome: v.literal('failed'),
    reason: FailureReason,
    /** For a person, one line. */
    detail: v.pipe(v.string(), v.maxLength(500)),
    log: v.nullable(Sha256),
    usage: Usage,
  }),
])
export type ResultManifest = v.InferOutput<typeof ResultManifest>

/** Body of `POST /v1/progress`. `sequence` counts from 1 within an attempt; a repeated one changes nothing. */
export const Progress = v.strictObject({
  /** At most what an integer column holds. */
  sequence: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2_147_483_647)),
  kind: v.picklist(['started', 'cloned', 'thinking', 'command', 'edit', 'message', 'uploading']),
  /** One line for a person; longer ones are cut by the sender. */
  text: v.pipe(v.string(), v.maxLength(300)),
})
export type Progress = v.InferOutput<typeof Progress>

/** Final message of a stage that may change code: what the pull request says. */
export const ChangeMessage = v.strictObject({
  title: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  summary: v.pipe(v.string(), v.minLength(1), v.maxLength(10_000)),
  tests: v.pipe(v.string(), v.maxLength(4_000)),
})
