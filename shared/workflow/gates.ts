import * as v from 'valibot'
import { digestOf } from '#shared/digest.ts'
import { ApprovalPolicy } from '#shared/job/bundle.ts'
import type { Workflow } from '#shared/workflow/workflow.ts'

/** Gates that an installation puts before stages, or takes away with null: JSON by the stage's id. */
export const Gates = v.record(v.string(), v.nullable(ApprovalPolicy))
export type Gates = v.InferOutput<typeof Gates>

/** The workflow with an installation's own gates, and a digest of its own. Throws for a stage that it does not have. */
export function withGates(workflow: Workflow, gates: Gates): Workflow {
  const unknown = Object.keys(gates).filter((id) => !workflow.stages.some((stage) => stage.id === id))
  if (unknown.length > 0) throw new Error(`a gate for a stage that the workflow does not have: ${unknown.join(', ')}`)
  if (Object.keys(gates).length === 0) return workflow
  const stages = workflow.stages.map((stage) => ({
    ...stage,
    gate: gates[stage.id] ?? (stage.id in gates ? null : stage.gate),
  }))
  return { ...workflow, stages, digest: digestOf({ workflow: workflow.digest, gates }) }
}
