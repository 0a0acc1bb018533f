import { run } from './run.ts'
import { terminal } from './terminal.ts'

// Whoever reads us may stop reading, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

process.exitCode = await run(process.argv.slice(2), terminal(process.stdout, process.stderr, Date.now))
