import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from './child.ts'
import { short, type Section } from './figures.ts'
import type { Ground } from './ground.ts'
import { cpuSeconds, memoryOf, treeCpuSeconds } from './proc.ts'
import { startLocalStack, SWEEP_SECONDS } from './stack.ts'

/** What all functions in one process cost while nothing happens, beside a bare server in the same minute. */
export async function idle(ground: Ground): Promise<Section> {
  const seconds = ground.quick ? 5 : 120
  const stack = await startLocalStack(ground)
  const bare = await startChild(fileURLToPath(new URL('bare-server.mjs', import.meta.url)), { until: /listening/ })
  try {
    await sleep(ground.quick ? 1_000 : 20_000)
    const used = () => [cpuSeconds(stack.functions.pid), cpuSeconds(bare.pid), treeCpuSeconds(ground.postgres)]
    const before = used()
    await sleep(seconds * 1_000)
    const [ours = 0, floor = 0, database = 0] = used().map((cpu, each) => ((cpu - (before[each] ?? 0)) * 60) / seconds)
    const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`
    const [memory, bareMemory] = [memoryOf(stack.functions.pid).now, memoryOf(bare.pid).now]
    return {
      figures: [
        {
          name: `idle: CPU seconds per minute, all functions in one process, a sweep every ${SWEEP_SECONDS} s`,
          ours: `${short(ours)}; database ${short(database)}`,
          beside: `bare server ${short(floor)}`,
        },
        {
          name: 'idle: resident memory of it',
          ours: megabytes(memory),
          beside: `bare server ${megabytes(bareMemory)}`,
          ratio: memory / bareMemory,
        },
      ],
      notes: [],
      data: { seconds, ours, floor, database, memory, bareMemory },
    }
  } finally {
    await bare.stop()
    await stack.close()
  }
}
