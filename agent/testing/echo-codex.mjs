#!/usr/bin/env node
// Stands in for the Codex CLI: its message is what it was started with.
import { readFileSync } from 'node:fs'

const { MODEL_TOKEN: _, ...env } = process.env
const seen = { argv: process.argv.slice(2), env, stdin: readFileSync(0).toString('base64') }
const message = { title: 'Seen', summary: JSON.stringify(seen), tests: '' }
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
say({ type: 'item.completed', item: { id: '0', type: 'agent_message', text: JSON.stringify(message) } })
say({ type: 'turn.completed', usage: { input_tokens: 1, cached_input_tokens: 0, output_tokens: 1 } })
