import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'

// An agent that thinks nothing: it takes its input and hands in one small change. What it does is told by CHANGE, a JSON
// object of path to text; `{"hangs": n}` makes the first n attempts wait for ever, `{"exit": n}` ends at once without a result,
// `{"asks": true}` asks the model first, `{"obeys": true}` does what the text says: JSON with `files` and `message`,
// `hangs` as above, and `eats`, which takes memory until there is none.
// `{"dies": n}`: the first n attempts are killed as the kernel would. `{"works": ms}` takes so long for it, `{"patient": true}` asks a
// gateway that does not answer for minutes. While it hangs:
// `deaf` ignores SIGTERM, `daemon` has started something that left its group and session (its pid is in the file `daemon`),
// `stays` goes on after it has handed in its result, `stops` has stopped itself, `spends` asks the model again and again, whatever it is answered.
const {
  RUN_GATEWAY_URL: gateway = '',
  MODEL_GATEWAY_URL: model = '',
  RUN_TOKEN_FILE: tokenFile = '',
  CHANGE = '{"files":{"hello.txt":"hello\\n"}}',
} = process.env
const change = JSON.parse(CHANGE) as {
  files?: Record<string, string>
  hangs?: number
  exit?: number
  asks?: boolean
  obeys?: boolean
  dies?: number
  deaf?: boolean
  daemon?: boolean
  stops?: boolean
  spends?: boolean
  stays?: boolean
  works?: number
  patient?: boolean
}
const [token, modelToken] = readFileSync(tokenFile, 'utf8').split('\n')
/** How often a gateway that does not answer is asked, every 50 ms. */
const tries = change.patient === true ? 4_000 : 200
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

const call = async (method: string, path: string, body?: string): Promise<Response> => {
  for (let attempt = 1; ; attempt += 1) {
    const response = await fetch(`${gateway}/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body ?? null,
    }).catch(() => undefined)
    if (response !== undefined && response.status < 500) return response
    if (attempt === tries) process.exit(1)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

// Until an answer came whole: one that is cut, or a stream of before that is still held to be open, is asked again.
const ask = async (): Promise<void> => {
  for (let attempt = 1; attempt <= 200; attempt += 1) {
    const response = await fetch(`${model}/v1/responses`, {
      method: 'POST',
      headers: { authorization: `Bearer ${modelToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ stream: true, input: 'Say hello.' }),
    }).catch(() => undefined)
    const text = await response?.text().catch(() => '')
    if (response?.status === 200 && text?.includes('response.completed')) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  process.exit(1)
}

const spend = (): Promise<unknown> =>
  fetch(`${model}/v1/responses`, {
    method: 'POST',
    headers: { authorization: `Bearer ${modelToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ stream: true, input: 'Say hello.' }),
  })
    .then((response) => response.text())
    .catch(() => undefined)

if (change.deaf === true) process.on('SIGTERM', () => undefined)
const answer = await call('GET', 'input')
if (answer.status !== 200) process.exit(1)
const input = (await answer.json()) as {
  attempt: number
  manifest: { base: { commit: string }; content: string; revise?: { head: string } }
}
if (change.exit !== undefined) process.exit(change.exit)
if (change.asks === true) await ask()
if (change.daemon === true) {
  const daemon = spawn('setsid', ['sh', '-c', 'trap "" TERM; while :; do sleep 60; done'], { stdio: 'ignore' })
  daemon.unref()
  writeFileSync('daemon', `${daemon.pid}\n`)
}
// For whoever waits until it is as it is told to be.
writeFileSync('ready', '')
if (input.attempt <= (change.dies ?? 0)) process.kill(process.pid, 'SIGKILL')
if (change.stops === true) process.kill(process.pid, 'SIGSTOP')
if (change.spends === true) for (;;) await spend()
if (input.attempt <= (change.hangs ?? 0)) await new Promise(() => setInterval(() => {}, 1_000))
await call('POST', 'progress', JSON.stringify({ sequence: 1, kind: 'command', text: 'working' }))
if (change.works !== undefined) await new Promise((resolve) => setTimeout(resolve, change.works))
const content = change.obeys === true ? await call('GET', `blobs/${input.manifest.content}`) : undefined
const told = JSON.parse(((await content?.json()) as { body: string } | undefined)?.body ?? '{}') as {
  files?: Record<string, string>
  message?: object
  hangs?: number
  eats?: boolean
}
if (told.eats === true) for (const eaten: Buffer[] = []; ;) eaten.push(Buffer.alloc(1 << 24, 1))
if (input.attempt <= (told.hangs ?? 0)) await new Promise(() => setInterval(() => {}, 1_000))
// A revision says it once more.
const files = Object.entries(told.files ?? change.files ?? {}).map(
  ([path, text]) => [path, input.manifest.revise === undefined ? text : `${text}${text}`] as const,
)
for (const [, text] of files) await call('PUT', `blobs/${sha256(text)}`, text)
const result = await call(
  'POST',
  'result',
  JSON.stringify({
    outcome: 'succeeded',
    base: input.manifest.revise?.head ?? input.manifest.base.commit,
    changes: files.map(([path, text]) => ({
      kind: 'write',
      path,
      mode: '100644',
      blob: sha256(text),
      bytes: Buffer.byteLength(text),
    })),
    message: told.message ?? { title: 'Say hello', summary: 'Adds a greeting.', tests: 'None.' },
    session: null,
    log: null,
    usage: { inputTokens: 1, cachedInputTokens: 0, outputTokens: 1 },
  }),
)
if (change.stays === true) await new Promise(() => setInterval(() => {}, 1_000))
process.exit(result.ok ? 0 : 1)
