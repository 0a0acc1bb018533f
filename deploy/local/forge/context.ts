import { AsyncLocalStorage } from 'node:async_hooks'

/** What is known about the request that causes an effect, wherever in the emulator the effect appears. */
export interface RequestContext {
  readonly actor: string
  /** Values before an edit, for the `changes` of its webhook. */
  changes?: Readonly<Record<string, { readonly from: unknown }>>
  /** The commit being written gets GitHub's own signature. */
  signed?: boolean
  /** Size of the pull request being opened, which the emulator does not know. */
  pullSize?: PullSize
}

/** What a pull request changes, in numbers. */
export interface PullSize {
  readonly commits: number
  readonly additions: number
  readonly deletions: number
  readonly changed_files: number
}

/** The request being handled, if any. */
export const requestContext = new AsyncLocalStorage<RequestContext>()
