import { constants } from 'node:fs'
import { mkdir, open, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { MAX_BLOB_BYTES, type Usage } from '#shared/job/result.ts'

/** A session of the CLI that an earlier run left, as far as the runner looks at it. */
export interface Session {
  /** What `codex exec resume` calls it. */
  readonly thread: string
  /** What it had used when it was left: the CLI counts on from there. */
  readonly usage: v.InferOutput<typeof Usage>
}

/** The first line. The file comes from another agent's place: its id becomes an argument, so it has to be an id. */
const Start = v.looseObject({
  type: v.literal('session_meta'),
  payload: v.looseObject({ id: v.pipe(v.string(), v.uuid()) }),
})

const Tokens = v.pipe(v.number(), v.integer(), v.minValue(0))
const Count = v.looseObject({
  payload: v.looseObject({
    type: v.literal('token_count'),
    info: v.looseObject({
      total_token_usage: v.looseObject({ input_tokens: Tokens, cached_input_tokens: Tokens, output_tokens: Tokens }),
    }),
  }),
})

/** Reads a session file; undefined when it is none. */
export function parseSession(file: Buffer): Session | undefined {
  const lines = file.toString().split('\n').map(parseJson)
  const start = v.safeParse(Start, lines[0])
  if (!start.success) return undefined
  const last = lines.findLast((line) => v.is(Count, line)) as v.InferOutput<typeof Count> | undefined
  const total = last?.payload.info.total_token_usage
  return {
    thread: start.output.payload.id,
    usage: {
      inputTokens: total?.input_tokens ?? 0,
      cachedInputTokens: total?.cached_input_tokens ?? 0,
      outputTokens: total?.output_tokens ?? 0,
    },
  }
}

/** Puts a session file where the CLI looks for it. Its date is old, so that one that begins here is the newest. */
export async function placeSession(codexHome: string, { thread }: Session, file: Buffer): Promise<void> {
  const folder = join(codexHome, 'sessions', '2000', '01', '01')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, `rollout-2000-01-01T00-00-00-${thread}.jsonl`), file)
}

/**
 * The session file that `codex exec resume` needs: the one that was begun last. What the agent put in its place and is no
 * file, or too large to be kept, is none.
 */
export async function readSession(codexHome: string): Promise<Buffer | undefined> {
  const names = await readdir(join(codexHome, 'sessions'), { recursive: true }).catch(() => [])
  const newest = names
    .filter((name) => /(?:^|\/)rollout-[^/]*\.jsonl$/.test(name))
    .toSorted()
    .at(-1)
  if (newest === undefined) return undefined
  // A link is not followed, and a pipe without a writer not waited for.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(join(codexHome, 'sessions', newest), flags).catch(() => undefined)
  try {
    const found = await handle?.stat()
    return found?.isFile() === true && found.size <= MAX_BLOB_BYTES ? await handle?.readFile() : undefined
  } finally {
    await handle?.close()
  }
}

/** What was used since the session was left. */
export function usageSince(session: Session | undefined, now: Session['usage']): Session['usage'] {
  const since = (name: keyof Session['usage']): number => Math.max(0, now[name] - (session?.usage[name] ?? 0))
  return {
    inputTokens: since('inputTokens'),
    cachedInputTokens: since('cachedInputTokens'),
    outputTokens: since('outputTokens'),
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
