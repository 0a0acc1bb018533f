/** What is written when the agent gave no sign of life, so that its end is told from a crash. */
export const SILENT = 'codex-k8s: no sign of life'

/**
 * A program for `node -e PROGRAM HEARTBEAT SECONDS LOG`: fails when HEARTBEAT was not touched for SECONDS and says so in LOG. It is
 * part of the Job, because nothing of the run's own image may decide whether its agent lives.
 */
export const LIVENESS = `const { statSync, writeFileSync } = require('node:fs')
const [, heartbeat, seconds, log] = process.argv
const silent = Date.now() - statSync(heartbeat).mtimeMs > seconds * 1000
writeFileSync(log, silent ? '${SILENT}' : '')
process.exit(silent ? 1 : 0)`
