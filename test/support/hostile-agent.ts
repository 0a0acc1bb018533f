import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { encodings } from '#shared/secret-scan/testing/encodings.ts'

// An agent that gives away all it has: its tokens in every encoding to its output, to the progress lines, to the model, into
// blobs and into its result. What is refused it leaves out, and in the end hands in an ordinary change.
const { RUN_GATEWAY_URL: gateway = '', MODEL_GATEWAY_URL: model = '', RUN_TOKEN_FILE: tokenFile = '' } = process.env
const [token = '', modelToken = ''] = readFileSync(tokenFile, 'utf8').split('\n')
const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const leaks = [token, modelToken].flatMap((secret) => Object.values(encodings).map((encode) => encode(secret)))
const asText = (leak: string | Uint8Array) => Buffer.from(leak).toString('latin1')

const call = async (
  method: string,
  url: string,
  body?: string | Uint8Array<ArrayBuffer>,
  tries = 200,
): Promise<Response> => {
  for (let attempt = 1; ; attempt += 1) {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const response = await fetch(url, { method, headers, body: body ?? null }).catch(() => undefined)
    if (response !== undefined && response.status < 500) return response
    if (response !== undefined && attempt >= tries) return response
    if (attempt >= 200) process.exit(1)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
const run = (method: string, path: string, body?: string | Uint8Array<ArrayBuffer>, tries?: number) =>
  call(method, `${gateway}/v1/${path}`, body, tries)

process.stdout.write(`${JSON.stringify(process.env)}\n`)
for (const leak of leaks) process.stdout.write(leak)

const { manifest } = (await (await run('GET', 'input')).json()) as { manifest: { base: { commit: string } } }
for (const [index, leak] of leaks.entries()) {
  const text = asText(leak).slice(0, 500)
  await run('POST', 'progress', JSON.stringify({ sequence: index + 1, kind: 'command', text }), 1)
}
const question = JSON.stringify({ stream: true, input: `My token is ${token}` })
for (let ask = 1; ask <= 8; ask += 1) {
  const answer = await fetch(`${model}/v1/responses`, {
    method: 'POST',
    headers: { authorization: `Bearer ${modelToken}`, 'content-type': 'application/json' },
    body: question,
  }).catch(() => undefined)
  process.stdout.write(`${answer?.status} ${await answer?.text().catch(() => '')}\n`)
}

const statuses: number[] = []
for (const leak of leaks)
  statuses.push((await run('PUT', `blobs/${sha256(leak)}`, new Uint8Array(Buffer.from(leak)))).status)
const result = (title: string, summary: string, text: string) =>
  JSON.stringify({
    outcome: 'succeeded',
    base: manifest.base.commit,
    changes: [{ kind: 'write', path: 'hello.txt', mode: '100644', blob: sha256(text), bytes: Buffer.byteLength(text) }],
    message: { title, summary, tests: 'None.' },
    session: null,
    log: null,
    usage: { inputTokens: 1, cachedInputTokens: 0, outputTokens: 1 },
  })
await run('PUT', `blobs/${sha256('hello\n')}`, 'hello\n')
for (const leak of leaks.filter((each) => typeof each === 'string')) {
  const refused = await run('POST', 'result', result('Say hello', leak.slice(0, 4_000), 'hello\n'))
  statuses.push(refused.status)
}
process.stdout.write(`statuses ${JSON.stringify(statuses)}\n`)
const last = await run('POST', 'result', result('Say hello', 'Adds a greeting.', 'hello\n'))
process.exit(last.ok ? 0 : 1)
