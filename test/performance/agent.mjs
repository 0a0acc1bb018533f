// An agent that asks for its input, writes down when, and gives up: what comes after its first call is not measured.
import { readFileSync, writeFileSync } from 'node:fs'

const { RUN_GATEWAY_URL: gateway, RUN_TOKEN_FILE: tokenFile, WORK_DIR: folder } = process.env
const [token] = readFileSync(tokenFile, 'utf8').split('\n')
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
const asked = Date.now()
const { status } = await fetch(`${gateway}/v1/input`, { headers })
writeFileSync(`${folder}/mark.json`, JSON.stringify({ asked, answered: Date.now(), status }))
const usage = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 }
const body = JSON.stringify({ outcome: 'failed', reason: 'agent_failed', detail: 'The benchmark.', log: null, usage })
await fetch(`${gateway}/v1/result`, { method: 'POST', headers, body })
