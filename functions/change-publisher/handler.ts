import * as v from 'valibot'
import { crashPoint } from '#shared/crash-point.ts'
import type { Row } from '#shared/db/schema.ts'
import { RetryLater } from '#shared/errors.ts'
import type { Delivered } from '#shared/events/delivered.ts'
import { RunEvent } from '#shared/events/types.ts'
import { parentOf, type Manifest } from '#shared/job/bundle.ts'
import { ChangeMessage, type ResultManifest } from '#shared/job/result.ts'
import type { Handler, Settlement, Writer } from '#shared/outbox/deliver.ts'
import type { ReasonCode } from '#shared/workflow/reasons.ts'
import { scan } from '#shared/secret-scan/scan.ts'
import { decide, type PublishedFile } from './decide.ts'
import { display } from './finding.ts'
import type { BaseTree } from './tree-rules.ts'
import { commitMessage, pullRequestBody, refusalDetail, scanDetail } from './words.ts'

/** A run whose attempt has handed in a result, and everything the decision about it rests on. */
export interface Finished {
  readonly run: Row<'runs'>
  readonly project: Row<'projects'>
  readonly change: Row<'changes'>
  readonly manifest: Manifest
  readonly attempt: number
  readonly result: Extract<ResultManifest, { outcome: 'succeeded' }>
  readonly blobs: ReadonlyMap<string, Uint8Array>
}

/** The pull request of a change. */
export interface Published {
  readonly commit: string
  readonly number: number
  readonly url: string
}

/** What the forge does for us, for one repository. */
export interface Forge {
  /** Whether the requester may still ask, as of now. */
  mayStillAsk(requester: { readonly id: string; readonly login: string }): Promise<boolean>
  /** Whether a pull request can still be added to. */
  isOpen(pullNumber: number): Promise<boolean>
  /** Undefined: the repository or the commit is gone. */
  baseTree(commit: string): Promise<BaseTree | 'too_large' | undefined>
  /** Content of a file of the base, by git's object id. */
  baseFile(object: string): Promise<Uint8Array>
  commit(change: {
    parent: string
    branch: string
    expectedHead: string | null
    message: string
    files: readonly PublishedFile[]
  }): Promise<{ commit: string } | { refused: 'branch_moved' | 'nothing_to_publish' | 'repository_gone' }>
  openPullRequest(wanted: {
    head: string
    base: string
    title: string
    body: string
    marker: string
  }): Promise<{ number: number; url: string } | { refused: string }>
}

/** What this function needs from the world, and nothing more. */
export interface Deps {
  finished(runId: string): Promise<Finished | undefined>
  forge(project: Row<'projects'>): Forge
  /** Values that must never leave, of this installation. */
  readonly canaries: readonly string[]
  /** Commits that this change is about to be published, and returns the outbox rows it wrote; undefined if the run is not where it was seen. */
  intend(finished: Finished): Promise<readonly string[] | undefined>
  published(writer: Writer, finished: Finished, published: Published): Promise<void>
  rejected(writer: Writer, finished: Finished, reason: ReasonCode, detail: string | undefined): Promise<void>
}

/** What the agent left becomes a commit and one pull request, if the stage's policy lets it. */
export function changePublisher(deps: Deps): Handler {
  return async (event: Delivered): Promise<Settlement> => {
    const finished = await deps.finished(v.parse(RunEvent, event.data).run)
    if (finished === undefined) return { outcome: 'ignored: the run is not waiting to be published' }
    const reject = (reason: ReasonCode, detail?: string): Settlement => ({
      outcome: `rejected: ${reason}`,
      write: (writer) => deps.rejected(writer, finished, reason, detail),
    })
    const { run, project, change, manifest, result, blobs } = finished

    const forge = deps.forge(project)
    const message = v.safeParse(ChangeMessage, result.message)
    if (!message.success) return reject('agent_gave_no_result', 'the last message is not in the expected form')
    const parent = parentOf(manifest)
    if (result.base !== parent) return reject('input_invalid', 'the change is against another commit')
    const words = { ...message.output, body: pullRequestBody(message.output, run, parent) }
    // First of all, because a refusal quotes paths.
    const said = secretInWords(words, result.changes, deps.canaries)
    if (said !== undefined) return reject('secret_found', said)

    const [allowed, base, open] = await Promise.all([
      forge.mayStillAsk({ id: run.requester_id, login: run.requester_login }),
      forge.baseTree(parent),
      manifest.revise === undefined || forge.isOpen(manifest.revise.pull),
    ])
    if (!allowed) return reject('actor_revoked')
    if (base === undefined) return reject('repository_gone')
    if (!open) return reject('pull_request_closed')
    if (base === 'too_large') return reject('change_refused', 'the repository has more files than the forge lists')
    const decision = decide({
      scope: manifest.writeScope,
      branch: change.branch,
      changes: result.changes,
      base,
      blobs: (digest) => blobs.get(digest),
      message: message.output,
    })
    if (decision.kind === 'nothing-to-publish') return reject('nothing_to_publish')
    if (decision.kind === 'reject') return reject('change_refused', refusalDetail(decision.findings, decision.omitted))
    const written = await secretInFiles(decision.files, base, forge, deps.canaries)
    if (written !== undefined) return reject('secret_found', written)

    const intended = await deps.intend(finished)
    if (intended === undefined) throw new RetryLater('the run moved on', { seconds: 0 })
    crashPoint('publisher.after-intent')
    const committed = await forge.commit({
      parent,
      branch: change.branch,
      // A change that is there is added to where it was asked for: people may have pushed to it before.
      expectedHead: manifest.revise?.head ?? change.head_commit,
      message: commitMessage(words, run),
      files: decision.files,
    })
    crashPoint('publisher.after-commit')
    if ('refused' in committed) {
      const moved = committed.refused === 'branch_moved' && manifest.revise !== undefined
      return reject(moved ? 'stale_head' : committed.refused)
    }
    // The words of one that is there are people's by now.
    const pull =
      manifest.revise === undefined
        ? await forge.openPullRequest({
            head: change.branch,
            base: manifest.base.ref,
            title: words.title,
            body: words.body,
            marker: `<!-- codex-k8s:change:${change.id} -->`,
          })
        : { number: manifest.revise.pull, url: change.pull_url ?? '' }
    crashPoint('publisher.after-pull-request')
    if ('refused' in pull) return reject('change_refused', pull.refused)
    return {
      outcome: `published #${pull.number}`,
      written: intended,
      write: (writer) => deps.published(writer, finished, { ...committed, ...pull }),
    }
  }
}

/** Where something that looks like a secret stands in text of the agent's; never what it is. */
function secretInWords(
  words: { title: string; body: string },
  changes: Finished['result']['changes'],
  canaries: readonly string[],
): string | undefined {
  const channels = [
    { name: 'the title', text: words.title },
    { name: 'the description', text: words.body },
    { name: 'a path', text: changes.map(({ path }) => path).join('\n') },
  ]
  return scanDetail(scan(channels, canaries))
}

/** The same for the files. What the base has already in the same file is nobody's leak: it is fetched only where something is found. */
async function secretInFiles(
  files: readonly PublishedFile[],
  base: BaseTree,
  forge: Forge,
  canaries: readonly string[],
): Promise<string | undefined> {
  for (const file of files) {
    if (file.kind === 'delete') continue
    const channel = { name: `\`${display(file.path)}\``, text: file.content }
    if (scan([channel], canaries).length === 0) continue
    const before = base.get(file.path)
    const known = before?.type === 'blob' ? await forge.baseFile(before.object) : new Uint8Array()
    const found = scanDetail(scan([{ ...channel, known }], canaries))
    if (found !== undefined) return found
  }
  return undefined
}
