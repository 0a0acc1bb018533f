import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { digestOf } from '#shared/digest.ts'
import { silentSeconds, TaskContent } from '#shared/job/bundle.ts'
import type { Manifest } from '#shared/job/bundle.ts'
import { MAX_BLOB_BYTES } from '#shared/job/result.ts'
import type { FailureReason, ResultManifest } from '#shared/job/result.ts'
import { collectChanges } from './change-set.ts'
import type { ChangeSet } from './change-set.ts'
import { checkout } from './checkout.ts'
import { readSession, runCodex, writeCodexHome } from './codex.ts'
import type { Folders } from './codex.ts'
import { deliver } from './deliver.ts'
import { Failure } from './failure.ts'
import { runGateway } from './gateway.ts'
import type { RunGateway } from './gateway.ts'
import { redactor, runLog } from './log.ts'
import { addEvent, finalMessage, noTranscript, progressOf } from './outcome.ts'
import { progressReporter } from './progress.ts'
import { probeSandbox } from './sandbox.ts'
import type { Settings } from './settings.ts'
import { showSignsOfLife } from './signs-of-life.ts'
import { taskMarkdown } from './task-file.ts'

/** One attempt from its input to its result. True when run-gateway took the result, whatever it says. */
export async function run(settings: Settings, stop: AbortSignal): Promise<boolean> {
  const gateway = runGateway({ url: settings.runGatewayUrl, token: settings.runToken })
  const redact = redactor([settings.runToken, settings.modelToken])
  const log = runLog(redact)
  const ended = new AbortController()
  const signal = AbortSignal.any([stop, ended.signal])
  const onStop = () => ended.abort(new Failure('stopped', 'The run is over for run-gateway.'))
  const progress = progressReporter({ send: (line) => gateway.progress(line), redact, onStop })
  const hide = showSignsOfLife({ file: settings.heartbeatFile, tell: () => gateway.heartbeat(), onStop })
  let transcript = noTranscript
  let deadline: NodeJS.Timeout | undefined
  let silence: NodeJS.Timeout | undefined

  const attempt = async (): Promise<ResultManifest> => {
    progress.say('started', 'Fetching the input')
    const manifest = await readManifest(gateway, signal)
    deadline = setTimeout(() => {
      ended.abort(new Failure('deadline_exceeded', `The run took longer than ${manifest.budget.seconds} seconds.`))
    }, ownDeadline(manifest.budget.seconds))
    const folders = foldersIn(settings.workDir)
    const [base, { instructions, schema }] = await Promise.all([
      checkOut(settings, manifest, folders.repository, signal),
      prepare(settings, gateway, manifest, folders, signal),
      assertSandbox(settings),
    ])
    progress.say('cloned', `Checked out ${manifest.base.commit.slice(0, 12)} of ${manifest.repository.fullName}`)
    const quiet = silentSeconds(manifest)
    silence = setTimeout(() => {
      ended.abort(new Failure('agent_silent', `The CLI printed nothing for ${quiet} seconds.`))
    }, quiet * 1000)
    await runCodex({
      binary: settings.codexBinary,
      sandbox: settings.sandbox === 'none' ? 'danger-full-access' : 'workspace-write',
      folders,
      path: settings.path,
      modelToken: settings.modelToken,
      instructions,
      onLine(line) {
        silence?.refresh()
        log.add(line)
      },
      onEvent(event) {
        transcript = addEvent(transcript, event)
        const line = progressOf(event, folders.repository)
        if (line !== undefined) progress.say(line.kind, line.text)
      },
      signal,
    })
    clearTimeout(silence)
    const message = finalMessage(transcript, schema)
    const { changes, blobs } = await changesOf(settings, manifest, base, folders, signal)
    progress.say('uploading', changes.length === 1 ? '1 changed path' : `${changes.length} changed paths`)
    for (const bytes of blobs.values()) {
      assertNoToken(bytes, [settings.runToken, settings.modelToken])
      await gateway.upload(bytes, signal)
    }
    const session = Buffer.from(redact((await readSession(folders.codexHome))?.toString() ?? ''))
    return {
      outcome: 'succeeded',
      base: manifest.base.commit,
      changes: [...changes],
      message: JSON.parse(redact(JSON.stringify(message))) as Record<string, unknown>,
      session: session.length === 0 || session.length > MAX_BLOB_BYTES ? null : await gateway.upload(session, signal),
      log: await gateway.upload(Buffer.from(log.text()), signal),
      usage: transcript.usage,
    }
  }

  const result = await attempt().catch((error: unknown): ResultManifest => {
    const { reason, detail } = explain(signal.aborted ? signal.reason : error)
    log.add(`${reason}: ${detail}`)
    return { outcome: 'failed', reason, detail: redact(detail).slice(0, 500), log: null, usage: transcript.usage }
  })
  clearTimeout(deadline)
  clearTimeout(silence)
  await progress.close()
  return deliver(gateway, result, log.text(), stop).finally(hide)
}

async function readManifest(gateway: RunGateway, signal: AbortSignal): Promise<Manifest> {
  const { digest, manifest } = await gateway.input(signal)
  if (digestOf(manifest) !== digest) throw new Failure('input_invalid', 'The input does not have the digest it claims.')
  return manifest
}

async function checkOut(settings: Settings, manifest: Manifest, directory: string, signal: AbortSignal) {
  const { runGatewayUrl, runToken: token, path } = settings
  try {
    return await checkout({
      url: `${runGatewayUrl}/v1/git`,
      commit: manifest.base.commit,
      token,
      directory,
      path,
      signal,
    })
  } catch (error) {
    throw new Failure('clone_failed', `The repository could not be fetched: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

/** Everything the CLI reads: its home, and the task as files outside the repository. */
async function prepare(
  settings: Settings,
  gateway: RunGateway,
  manifest: Manifest,
  folders: Folders,
  signal: AbortSignal,
) {
  const blobs = [manifest.instructions, manifest.content, manifest.outputSchema] as const
  const [instructions, content, schema] = await Promise.all([
    gateway.blob(blobs[0], signal),
    gateway.blob(blobs[1], signal),
    gateway.blob(blobs[2], signal),
  ])
  const task = join(settings.workDir, 'task')
  await mkdir(task)
  await writeFile(join(task, 'issue.json'), content)
  await writeFile(join(task, 'issue.md'), taskMarkdown(v.parse(TaskContent, JSON.parse(content.toString()))))
  const { modelGatewayUrl, network } = settings
  await writeCodexHome({ folders, manifest, schema, modelGatewayUrl, network })
  return { instructions, schema }
}

async function assertSandbox({ sandbox, codexBinary }: Settings): Promise<void> {
  if (sandbox === 'none' || (await probeSandbox(codexBinary))) return
  throw new Failure('sandbox_unavailable', "The CLI's sandbox does not work here; it needs user namespaces.")
}

/** A stage that may write nothing answers with its message alone. */
async function changesOf(
  settings: Settings,
  manifest: Manifest,
  base: Awaited<ReturnType<typeof checkout>>,
  folders: Folders,
  signal: AbortSignal,
): Promise<ChangeSet> {
  if (manifest.writeScope.kind === 'none') return { changes: [], blobs: new Map() }
  const { maxBytes } = manifest.writeScope
  return collectChanges({
    directory: folders.repository,
    base,
    maxBytes,
    scratch: settings.workDir,
    path: settings.path,
    signal,
  })
}

/** The publisher looks for secrets in many forms; a token as it is does not even leave the pod. */
function assertNoToken(bytes: Buffer, tokens: readonly string[]): void {
  if (tokens.some((token) => bytes.includes(token)))
    throw new Failure('agent_failed', 'A changed file contains a token of this run.')
}

function explain(error: unknown): { reason: FailureReason; detail: string } {
  const detail = error instanceof Error ? error.message : String(error)
  return {
    reason: error instanceof Failure ? error.reason : 'agent_failed',
    detail: detail.replace(/\s+/g, ' ').trim(),
  }
}

/** Before the Job's own deadline, so that there is time to say what happened. */
function ownDeadline(seconds: number): number {
  return (seconds - Math.min(30, seconds / 10)) * 1000
}

function foldersIn(workDir: string): Folders {
  const at = (name: string): string => join(workDir, name)
  return { repository: at('repository'), codexHome: at('codex-home'), home: at('home'), temporary: at('tmp') }
}
