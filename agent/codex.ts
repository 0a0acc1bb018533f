import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Manifest } from '#shared/job/bundle.ts'
import { MODEL_TOKEN_VARIABLE, codexConfig, modelCatalog } from './config.ts'
import { Failure } from './failure.ts'
import { lineSplitter } from './log.ts'

/** Between SIGTERM and SIGKILL, milliseconds. Shorter than what a stopped run has for its report. */
const GRACE = 2_000

const Counts = v.object({ input_tokens: v.number(), cached_input_tokens: v.number(), output_tokens: v.number() })

const Item = v.looseObject({
  type: v.string(),
  text: v.optional(v.string()),
  command: v.optional(v.string()),
  changes: v.optional(v.array(v.looseObject({ path: v.string(), kind: v.string() }))),
})

/** One line of `codex exec --json`, as far as the runner looks at it. */
export const CodexEvent = v.variant('type', [
  v.looseObject({ type: v.picklist(['item.started', 'item.completed']), item: Item }),
  v.looseObject({ type: v.literal('turn.started') }),
  v.looseObject({ type: v.literal('turn.completed'), usage: Counts }),
  v.looseObject({ type: v.literal('turn.failed'), error: v.looseObject({ message: v.string() }) }),
  v.looseObject({ type: v.literal('error'), message: v.string() }),
])
export type CodexEvent = v.InferOutput<typeof CodexEvent>

/** Folders of one run. Only `repository` and `temporary` are for the agent to write. */
export interface Folders {
  readonly repository: string
  readonly codexHome: string
  readonly home: string
  readonly temporary: string
}

/** Prepares the CLI's own home: configuration, model catalog, output schema. */
export async function writeCodexHome(options: {
  readonly folders: Folders
  readonly manifest: Manifest
  readonly schema: Buffer
  readonly modelGatewayUrl: string
  readonly network: boolean
}): Promise<void> {
  const { folders, modelGatewayUrl, network } = options
  const catalogFile = join(folders.codexHome, 'models.json')
  for (const folder of [folders.codexHome, folders.home, folders.temporary]) await mkdir(folder)
  const { model, effort } = options.manifest
  await writeFile(
    join(folders.codexHome, 'config.toml'),
    codexConfig({ model, effort, modelGatewayUrl, catalogFile, network }),
  )
  await writeFile(catalogFile, modelCatalog(model))
  await writeFile(join(folders.codexHome, 'output-schema.json'), options.schema)
}

/**
 * Runs the CLI to its end with the instructions on stdin. Its environment is this list and nothing of ours. Rejects
 * with the signal's reason when stopped; the whole process group is gone either way.
 */
export function runCodex(options: {
  readonly binary: string
  readonly sandbox: 'workspace-write' | 'danger-full-access'
  readonly folders: Folders
  readonly path: string
  readonly modelToken: string
  readonly instructions: Buffer
  /** The thread to go on with, whose session file is in the home; undefined: a new one. */
  readonly thread: string | undefined
  readonly onLine: (line: string) => void
  readonly onEvent: (event: CodexEvent) => void
  readonly signal: AbortSignal
}): Promise<void> {
  const { folders, signal } = options
  signal.throwIfAborted()
  const schema = join(folders.codexHome, 'output-schema.json')
  const flags = ['--json', '--strict-config', '--ignore-rules', '--color', 'never', '--sandbox', options.sandbox]
  const goOn = options.thread === undefined ? [] : ['resume', options.thread]
  const args = ['exec', ...flags, '-C', folders.repository, '--output-schema', schema, ...goOn, '-']
  const child = spawn(options.binary, args, {
    cwd: folders.repository,
    // A group of its own, so that one signal reaches its commands too.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: options.path,
      HOME: folders.home,
      LANG: 'C.UTF-8',
      TMPDIR: folders.temporary,
      CODEX_HOME: folders.codexHome,
      [MODEL_TOKEN_VARIABLE]: options.modelToken,
    },
  })
  const kill = (name: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name)
    } catch {
      // The group is gone.
    }
  }
  const stdout = lineSplitter((line) => {
    options.onLine(line)
    const event = v.safeParse(CodexEvent, parseJson(line))
    if (event.success) options.onEvent(event.output)
  })
  const stderr = lineSplitter(options.onLine)
  child.stdout.on('data', (bytes: Buffer) => stdout.write(bytes))
  child.stderr.on('data', (bytes: Buffer) => stderr.write(bytes))
  // A CLI that ends before it read everything says why itself.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.instructions)

  return new Promise((resolve, reject) => {
    let force: NodeJS.Timeout | undefined
    const stop = (): void => {
      kill('SIGTERM')
      force = setTimeout(kill, GRACE, 'SIGKILL')
    }
    signal.addEventListener('abort', stop, { once: true })
    child.once('error', (error) =>
      reject(new Failure('agent_failed', `The CLI did not start: ${error.message}`, { cause: error })),
    )
    // A command that outlived the CLI would keep the pipes open, and `close` would never come.
    child.once('exit', () => kill('SIGKILL'))
    child.once('close', () => {
      clearTimeout(force)
      signal.removeEventListener('abort', stop)
      stdout.end()
      stderr.end()
      if (signal.aborted) reject(signal.reason as Error)
      else resolve()
    })
  })
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
