import * as v from 'valibot'
import { parseDocument } from 'yaml'
import { sha256 } from '#shared/digest.ts'
import { ApprovalPolicy, Manifest, Resources } from '#shared/job/bundle.ts'
import { protectedPaths } from '#shared/workflow/protected-paths.ts'

const Stage = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[a-z][a-z-]{0,40}$/)),
  title: v.string(),
  /** Who answers for the stage; workflow roles, not the forge's. */
  role: v.picklist(['pm', 'sa', 'em', 'dev', 'qa', 'sre', 'km', 'reviewer']),
  produces: v.picklist(['change']),
  gate: v.nullable(ApprovalPolicy),
  model: v.string(),
  effort: Manifest.entries.effort,
  /** The image that the agent works in; `codex-k8s/agent` is the installation's own. */
  image: v.string(),
  resources: v.exactOptional(Resources),
  budget: Manifest.entries.budget,
  writeScope: v.pipe(
    v.omit(Manifest.entries.writeScope, ['protected']),
    v.transform((scope) => ({ ...scope, protected: protectedPaths.map(({ glob }) => glob) })),
  ),
  /** What the agent is told: ours, and the same whatever the issue says. */
  instructions: v.pipe(v.string(), v.minLength(1)),
  /** What it is told besides when it goes on with a change that is there; null: the stage's changes are not revised. */
  revise: v.nullable(v.pipe(v.string(), v.minLength(1))),
  /** JSON Schema of the agent's final message. */
  outputSchema: v.record(v.string(), v.unknown()),
})
/** One stage: who answers for it, what it may write, what it costs at most, what its agent is told. */
export type Stage = v.InferOutput<typeof Stage>

const Workflow = v.pipe(
  v.strictObject({
    version: v.literal(1),
    policy: v.pipe(v.number(), v.integer(), v.minValue(1)),
    stages: v.pipe(v.array(Stage), v.minLength(1)),
  }),
  v.check(({ stages }) => new Set(stages.map(({ id }) => id)).size === stages.length, 'two stages have the same id'),
)

/** The stages, and the digest of the file they were read from: every run records it. */
export type Workflow = v.InferOutput<typeof Workflow> & { readonly digest: string }

/** Parses a workflow file. Throws with one line per problem, each with the line number it stands on. */
export function parseWorkflow(text: string, name: string): Workflow {
  const document = parseDocument(text, { prettyErrors: true })
  if (document.errors.length > 0)
    throw new Error(document.errors.map(({ message }) => `${name}: ${message}`).join('\n'))
  const parsed = v.safeParse(Workflow, document.toJS())
  if (parsed.success) return { ...parsed.output, digest: sha256(text) }
  const problems = parsed.issues.map((issue) => {
    const path = (issue.path ?? []).map(({ key }) => key as string | number)
    return `${name}:${lineOf(path)}: ${path.join('.')}: ${issue.message}`
  })
  throw new Error(problems.join('\n'))

  function lineOf(path: readonly (string | number)[]): number {
    for (let length = path.length; length >= 0; length -= 1) {
      const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] } | undefined
      if (node?.range !== undefined) return text.slice(0, node.range[0]).split('\n').length
    }
    return 1
  }
}
