import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { startForge } from './server.ts'
import type { SeedInput } from './seed.ts'

const { PORT, FORGE_SEED, FORGE_DATA, FORGE_ID_OFFSET, FORGE_HOST, FORGE_URL } = process.env

try {
  const seed = FORGE_SEED && existsSync(FORGE_SEED) ? readFileSync(FORGE_SEED, 'utf8') : FORGE_SEED
  const forge = await startForge({
    data: FORGE_DATA ?? join(tmpdir(), `forge-${process.pid}`),
    port: Number(PORT ?? 0),
    ...(seed ? { seed: JSON.parse(seed) as SeedInput } : {}),
    ...(FORGE_ID_OFFSET ? { idOffset: Number(FORGE_ID_OFFSET) } : {}),
    ...(FORGE_HOST ? { host: FORGE_HOST } : {}),
    ...(FORGE_URL ? { publicUrl: FORGE_URL } : {}),
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void forge.close().then(() => process.exit(0)))
  }
  console.log(JSON.stringify({ ready: true, url: forge.url }))
} catch (error) {
  const busy = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
  const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error)
  console.error(busy ? `forge: port ${PORT} is already in use` : `forge: ${reason}`)
  process.exit(1)
}
