import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Db } from '#shared/db/connect.ts'
import { connectRepository } from '../../deploy/local/connect-repository.ts'
import { startChild } from './child.ts'
import { corpus, writeCorpus } from './corpus.ts'
import { closedFigures, openFigures, RATES, type Run } from './delivery-figures.ts'
import type { Section } from './figures.ts'
import type { Ground } from './ground.ts'
import type { LoadOptions, LoadResult } from './load.ts'
import { cpuSeconds, treeCpuSeconds } from './proc.ts'
import { startReceivers, type Receiver } from './receivers.ts'
import { startElsewhere } from './servers.ts'

const REPOSITORY_ID = '135493233'

/** Verified durable deliveries: latency at a fixed rate, and how many there can be. */
export async function deliveries(ground: Ground): Promise<Section> {
  const [openSeconds, closedSeconds, rounds] = ground.quick ? [2, 1, 1] : [20, 5, 5]
  const databaseUrl = await ground.database()
  const db = connect(databaseUrl, { name: 'bench' })
  const elsewhere = await startElsewhere()
  const secretsDir = join(ground.folder, 'delivery-secrets')
  const repository = { instance: 'https://api.github.com', repositoryId: REPOSITORY_ID, fullName: 'Codertocat/Hello' }
  const connected = await connectRepository(db, secretsDir, { ...repository, installationId: null, ownActorId: '1' })
  const { hookId: id, hookPath: path, secretName, secret } = connected
  const hook = { id, path, secretName, secret, secretsDir, repositoryId: REPOSITORY_ID }
  const bodies = corpus(REPOSITORY_ID, connected.secret)
  const corpusFile = join(ground.folder, 'corpus.json')
  const sizes = writeCorpus(corpusFile, bodies)
  const receivers = await startReceivers(ground, databaseUrl, elsewhere.brokerUrl, hook)
  const generator = await ground.bundleScript('load', fileURLToPath(new URL('load.ts', import.meta.url)))

  const run = async ({ name, url, child }: Receiver, load: Omit<LoadOptions, 'url' | 'corpus'>): Promise<Run> => {
    const before = [cpuSeconds(child.pid), treeCpuSeconds(ground.postgres)] as const
    const options: LoadOptions = { url, corpus: corpusFile, ...load }
    const { ended } = await startChild(generator, { env: { LOAD: JSON.stringify(options) } })
    const result = JSON.parse(await ended) as LoadResult
    if (result.accepted === 0) throw new Error(`${name} accepted nothing: ${JSON.stringify(result.refused)}`)
    const cpu = cpuSeconds(child.pid) - before[0]
    const run = {
      ...result,
      rate: load.rate,
      receiver: name,
      cpu,
      databaseCpu: treeCpuSeconds(ground.postgres) - before[1],
    }
    ground.say(`deliveries: ${name} ${JSON.stringify({ ...load, ...result })}`)
    return run
  }
  const warm: Run[] = []
  const closed: Run[] = []
  const open: Run[] = []
  try {
    for (const receiver of receivers) warm.push(await run(receiver, { connections: 8, seconds: closedSeconds }))
    for (let round = 0; round < rounds; round += 1)
      for (const receiver of receivers) closed.push(await run(receiver, { connections: 32, seconds: closedSeconds }))
    for (const rate of RATES)
      for (const receiver of receivers) open.push(await run(receiver, { connections: 256, seconds: openSeconds, rate }))
    await expectAllStored(db, [...warm, ...closed, ...open])
  } finally {
    await Promise.all(receivers.map(({ child }) => child.stop()))
    await db.destroy()
    elsewhere.close()
  }
  return {
    figures: [...openFigures(open), ...closedFigures(closed)],
    notes: [
      `deliveries: ${bodies.length} recorded bodies of GitHub, median ${sizes.median} bytes, largest ${sizes.largest}; one gateway process, sender, broker and database on the same machine; 32 connections in the closed loop`,
      'deliveries: octokit is @octokit/webhooks behind node:http, the receiving core of Probot; it keeps nothing, in-memory neither; one-insert is the least that is durable',
    ],
    data: { open, closed },
  }
}

/** What was answered with 202 is there: else nothing of this is worth anything. */
async function expectAllStored(db: Db, runs: readonly Run[]): Promise<void> {
  const { count } = await db
    .selectFrom('inbox')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '=', 'accepted')
    .executeTakeFirstOrThrow()
  const acknowledged = runs
    .filter((each) => each.receiver === 'webhook-gateway')
    .reduce((sum, each) => sum + each.accepted, 0)
  if (count !== acknowledged) throw new Error(`${acknowledged} were acknowledged and ${count} are stored as events`)
}
