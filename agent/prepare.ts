import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { ReviewContent, TaskContent, type Manifest, type Revise } from '#shared/job/bundle.ts'
import { writeCodexHome, type Folders } from './codex.ts'
import type { RunGateway } from './gateway.ts'
import { reviewMarkdown } from './review-file.ts'
import { parseSession, placeSession, type Session } from './session.ts'
import type { Settings } from './settings.ts'
import { taskMarkdown } from './task-file.ts'

/** What the runner itself needs of what was prepared. */
export interface Prepared {
  readonly instructions: Buffer
  readonly schema: Buffer
  /** To go on with; undefined: the agent begins anew. */
  readonly session: Session | undefined
}

interface Preparation {
  readonly settings: Settings
  readonly gateway: RunGateway
  readonly manifest: Manifest
  readonly folders: Folders
  readonly log: (line: string) => void
  readonly signal: AbortSignal
}

/** Everything the CLI reads: its home, and the task as files outside the repository. */
export async function prepare(preparation: Preparation): Promise<Prepared> {
  const { settings, gateway, manifest, folders, signal } = preparation
  const [instructions, content, schema] = await Promise.all([
    gateway.blob(manifest.instructions, signal),
    gateway.blob(manifest.content, signal),
    gateway.blob(manifest.outputSchema, signal),
  ])
  const task = join(settings.workDir, 'task')
  await mkdir(task)
  await writeFile(join(task, 'issue.json'), content)
  await writeFile(join(task, 'issue.md'), taskMarkdown(v.parse(TaskContent, JSON.parse(content.toString()))))
  const { modelGatewayUrl, network } = settings
  await writeCodexHome({ folders, manifest, schema, modelGatewayUrl, network })
  const session = manifest.revise && (await prepareRevise(preparation, manifest.revise, task))
  return { instructions, schema, session }
}

/** The review as files beside the task, and the session of the run before in the CLI's home. */
async function prepareRevise(
  { gateway, folders, log, signal }: Preparation,
  revise: Revise,
  task: string,
): Promise<Session | undefined> {
  const review = await gateway.blob(revise.review, signal)
  await writeFile(join(task, 'review.json'), review)
  await writeFile(join(task, 'review.md'), reviewMarkdown(v.parse(ReviewContent, JSON.parse(review.toString()))))
  if (revise.session === null) {
    log('The run before left no session: a new one begins.')
    return undefined
  }
  const file = await gateway.blob(revise.session, signal)
  const session = parseSession(file)
  if (session === undefined) log('What the run before left is no session: a new one begins.')
  else await placeSession(folders.codexHome, session, file)
  return session
}
