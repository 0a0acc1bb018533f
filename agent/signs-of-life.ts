import { open, utimes } from 'node:fs/promises'

/** Between two touches of the file that whoever started us watches, milliseconds. */
const BEAT_MS = 5_000

/** Between two words to run-gateway, milliseconds. */
const WORD_MS = 60_000

/**
 * Shows that this process is alive, whatever the CLI does: a file is touched, and run-gateway is told now and then. Both
 * come from the event loop, so a runner that is stuck shows nothing. Returns the end of it.
 */
export function showSignsOfLife(options: {
  /** Undefined where nobody watches a file; made if it is not there. */
  readonly file: string | undefined
  /** True when the attempt is over. A word that cannot be delivered is lost. */
  readonly tell: () => Promise<boolean>
  readonly onStop: () => void
}): () => void {
  const { file } = options
  const touch = (): void => {
    const now = new Date()
    if (file !== undefined) void utimes(file, now, now).catch(() => create(file))
  }
  touch()
  const beat = setInterval(touch, BEAT_MS)
  const word = setInterval(() => {
    void options.tell().then(
      (over) => (over ? options.onStop() : undefined),
      () => undefined,
    )
  }, WORD_MS)
  return () => {
    clearInterval(beat)
    clearInterval(word)
  }
}

async function create(file: string): Promise<void> {
  const made = await open(file, 'a').catch(() => undefined)
  await made?.close()
}
