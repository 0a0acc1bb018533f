import { pathToFileURL } from 'node:url'
import { armCrashPoint } from '#shared/crash-point.ts'

// node armed.ts SCRIPT: runs a script whose process kills itself at the point of CRASH_POINT.

armCrashPoint(process.env['CRASH_POINT'])
await import(pathToFileURL(process.argv[2] ?? '').href)
