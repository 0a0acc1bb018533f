import { join } from 'node:path'
import { digestOf } from '#shared/digest.ts'
import { parentOf, silentSeconds, type Manifest } from '#shared/job/bundle.ts'
import { MAX_BLOB_BYTES } from '#shared/job/result.ts'
import type { FailureReason, ResultManifest } from '#shared/job/result.ts'
import { collectChanges } from './change-set.ts'
import type { ChangeSet } from './change-set.ts'
import { checkout } from './checkout.ts'
import { runCodex } from './codex.ts'
import type { Folders } from './codex.ts'
import { deliver } from './deliver.ts'
import { Failure } from './failure.ts'
import { runGateway } from './gateway.ts'
import type { RunGateway } from './gateway.ts'
import { redactor, runLog } from './log.ts'
import { addEvent, finalMessage, noTranscript, progressOf } from './outcome.ts'
import { prepare } from './prepare.ts'
import { progressReporter } from './progress.ts'
import { probeSandbox } from './sandbox.ts'
import { readSession, usageSince, type Session } from './session.ts'
import type { Settings } from './settings.ts'
import { showSignsOfLife } from './signs-of-life.ts'

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
  let session: Session | undefined
  let deadline: NodeJS.Timeout | undefined
  let silence: NodeJS.Timeout | undefined

  const attempt = async (): Promise<ResultManifest> => {
    progress.say('started', 'Fetching the input')
    const manifest = await readManifest(gateway, signal)
    deadline = setTimeout(() => {
      ended.abort(new Failure('deadline_exceeded', `The run took longer than ${manifest.budget.seconds} seconds.`))
    }, ownDeadline(manifest.budget.seconds))
    const folders = foldersIn(settings.workDir)
    const [base, prepared] = await Promise.all([
      checkOut(settings, manifest, folders.repository, signal),
      prepare({ settings, gateway, manifest, folders, log: (line) => log.add(line), signal }),
      assertSandbox(settings),
    ])
    session = prepared.session
    const parent = parentOf(manifest)
    progress.say('cloned', `Checked out ${parent.slice(0, 12)} of ${manifest.repository.fullName}`)
    const quiet = silentSeconds(manifest)
    silence = setTimeout(() => {
      ended.abort(new Failure('agent_silent', `The CLI printed nothing for ${quiet} seconds.`))
    }, quiet * 1000)
    const codex = (thread: string | undefined): Promise<void> =>
      runCodex({
        binary: settings.codexBinary,
        sandbox: settings.sandbox === 'none' ? 'danger-full-access' : 'workspace-write',
        folders,
        path: settings.path,
        modelToken: settings.modelToken,
        instructions: prepared.instructions,
        thread,
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
    await codex(session?.thread)
    if (session !== undefined && !transcript.began) {
      log.add(`The session ${session.thread} could not be resumed: a new one begins.`)
      session = undefined
      transcript = noTranscript
      await codex(undefined)
    }
    clearTimeout(silence)
    const message = finalMessage(transcript, prepared.schema)
    const { changes, blobs } = await changesOf(settings, manifest, base, folders, signal)
    progress.say('uploading', changes.length === 1 ? '1 changed path' : `${changes.length} changed paths`)
    for (const bytes of blobs.values()) {
      assertNoToken(bytes, [settings.runToken, settings.modelToken])
      await gateway.upload(bytes, signal)
    }
    const left = Buffer.from(redact((await readSession(folders.codexHome))?.toString() ?? ''))
    return {
      outcome: 'succeeded',
      base: parent,
      changes: [...changes],
      message: JSON.parse(redact(JSON.stringify(message))) as Record<string, unknown>,
      session: left.length === 0 || left.length > MAX_BLOB_BYTES ? null : await gateway.upload(left, signal),
      log: await gateway.upload(Buffer.from(log.text()), signal),
      usage: usageSince(session, transcript.usage),
    }
  }

  const result = await attempt().catch((error: unknown): ResultManifest => {
    const { reason, detail } = explain(signal.aborted ? signal.reason : error)
    log.add(`${reason}: ${detail}`)
    return {
      outcome: 'failed',
      reason,
      detail: redact(detail).slice(0, 500),
      log: null,
      usage: usageSince(session, transcript.usage),
    }
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
      commit: parentOf(manifest),
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
