#!/usr/bin/env node
// Stands in for a Codex CLI that is busy: starts a command that ignores SIGTERM, says so, and never ends.
import { spawn } from 'node:child_process'

const command = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 60; done'], {
  stdio: ['ignore', 'pipe', 'ignore'],
})
command.stdout.once('data', () => {
  const item = { id: '0', type: 'command_execution', command: `pid ${process.pid}`, status: 'in_progress' }
  process.stdout.write(`${JSON.stringify({ type: 'item.started', item })}\n`)
})
process.on('SIGTERM', () => undefined)
