import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { TaskContent } from '#shared/job/bundle.ts'
import { startGateways } from './gateways.ts'
import type { Gateways } from './gateways.ts'
import { sampleRepository } from './repository.ts'
import type { Content, SampleRepository } from './repository.ts'
import type { Runner } from './runner.ts'

/** The demo project of `npm start`. */
export const demo = join(import.meta.dirname, '../../deploy/local/demo')

const program = (name: string): string => join(import.meta.dirname, name)

/** Programs that stand in for the CLI; each says in its first line what it does. */
export const standIns = {
  echo: program('echo-codex.mjs'),
  hostile: program('hostile-codex.mjs'),
  idle: program('idle-codex.mjs'),
}

/** The demo project as a repository, with more files if wanted. */
export function demoRepository(files: Record<string, Content> = {}): SampleRepository {
  return sampleRepository(files, join(demo, 'repository'))
}

function demoIssue(): TaskContent {
  const [title = '', ...body] = readFileSync(join(demo, 'issue.md'), 'utf8').split('\n')
  return { title, body: body.join('\n'), comments: [] }
}

/** Gateways that serve the repository and the demo's issue until the test is over. */
export async function gatewaysFor(
  repository: SampleRepository,
  options: Partial<Parameters<typeof startGateways>[0]> = {},
): Promise<Gateways> {
  const gateways = await startGateways({ repository, content: demoIssue(), ...options })
  onTestFinished(() => gateways.close())
  return gateways
}

/** Waits for the end, which has to be 0. */
export async function finished(runner: Runner): Promise<void> {
  const code = await runner.ended
  if (code !== 0) throw new Error(`The runner ended with ${code}: ${runner.printed()}`)
}

/** The one result, which has to be a success. */
export function success(gateways: Gateways) {
  expect(gateways.results).toHaveLength(1)
  const [result] = gateways.results
  if (result?.outcome !== 'succeeded') throw new Error(JSON.stringify(result) + logOf(gateways))
  return result
}

/** The one result, which has to be a failure. */
export function failure(gateways: Gateways) {
  expect(gateways.results).toHaveLength(1)
  const [result] = gateways.results
  if (result?.outcome !== 'failed') throw new Error('expected a failed result')
  return result
}

/** The log that came with the result. */
export function logOf(gateways: Gateways): string {
  return gateways.blobs.get(gateways.results[0]?.log ?? '')?.toString() ?? ''
}
