import { armCrashPoint } from '#shared/crash-point.ts'
import { startFunctions, type FunctionsOptions } from './functions.ts'

// All functions as one process that can be killed: options as JSON in FUNCTIONS, the point to die at in CRASH_POINT.
const options = JSON.parse(process.env['FUNCTIONS'] ?? '{}') as FunctionsOptions
armCrashPoint(process.env['CRASH_POINT'])
const functions = await startFunctions(options)
process.once('SIGTERM', () => void functions.close().then(() => process.exit(0)))
console.log(JSON.stringify({ ready: true }))
