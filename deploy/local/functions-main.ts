import { armCrashPoint } from '#shared/crash-point.ts'
import { startTracing } from '#shared/telemetry/trace.ts'
import { startFunctions, type FunctionsOptions } from './functions.ts'

// All functions as one process that can be killed: options as JSON in FUNCTIONS. SIGUSR2 arms the point of CRASH_POINT,
// so that what happens before a test begins does not set it off.
const options = JSON.parse(process.env['FUNCTIONS'] ?? '{}') as FunctionsOptions
const { OTEL_EXPORTER_OTLP_ENDPOINT } = process.env
await startTracing('codex-k8s', { OTEL_EXPORTER_OTLP_ENDPOINT })
const functions = await startFunctions(options)
process.on('SIGUSR2', () => {
  armCrashPoint(process.env['CRASH_POINT'])
  console.log(JSON.stringify({ armed: true }))
})
process.once('SIGTERM', () => void functions.close().then(() => process.exit(0)))
console.log(JSON.stringify({ ready: true }))
