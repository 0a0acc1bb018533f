import { canonicalJson, digestOf, sha256 } from '#shared/digest.ts'
import type { Manifest, ReviewContent, TaskContent, Revise } from '#shared/job/bundle.ts'
import type { Stage, Workflow } from '#shared/workflow/workflow.ts'

/** Where and on what a run works, from our configuration and the forge. */
export interface Place {
  readonly repository: Manifest['repository']
  readonly subject: Manifest['subject']
  readonly base: Manifest['base']
}

/** A manifest with the blobs it names: everything that run-gateway will serve for the run. */
export interface Bundle {
  readonly digest: string
  readonly manifest: Manifest
  readonly blobs: ReadonlyMap<string, Buffer>
}

/** What labels of the subject chose. */
export interface Choices {
  readonly model: string | undefined
  readonly effort: string | undefined
}

/** The change that a run goes on with, and what people say about it. */
export interface Revision extends Omit<Revise, 'review'> {
  readonly review: ReviewContent
}

/** Fixes everything one run will get. The same request gives the same digest. */
export function bundle(
  workflow: Workflow,
  stage: Stage,
  place: Place,
  content: TaskContent,
  choices: Choices,
  revision?: Revision,
): Bundle {
  const blobs = new Map<string, Buffer>()
  const blob = (text: string) => {
    const digest = sha256(text)
    blobs.set(digest, Buffer.from(text))
    return digest
  }
  const manifest: Manifest = {
    version: 1,
    ...place,
    stage: stage.id,
    instructions: blob(revision === undefined ? stage.instructions : `${stage.instructions}\n${stage.revise ?? ''}`),
    content: blob(canonicalJson(content)),
    outputSchema: blob(canonicalJson(stage.outputSchema)),
    model: choices.model ?? stage.model,
    effort: (choices.effort as Manifest['effort'] | undefined) ?? stage.effort,
    budget: stage.budget,
    writeScope: stage.writeScope,
    gate: stage.gate,
    image: stage.image,
    ...(stage.resources && { resources: stage.resources }),
    workflow: workflow.digest,
    policy: workflow.policy,
    ...(revision && { revise: { ...revision, review: blob(canonicalJson(revision.review)) } }),
  }
  return { digest: digestOf(manifest), manifest, blobs }
}
