import { parseArgs } from 'node:util'
import pg from 'pg'
import { readLedger } from '../functions/audit-sink/read-ledger.ts'
import { diff, rebuild } from '../functions/audit-sink/rebuild.ts'
import { verify } from '#shared/ledger/verify.ts'

// npm run audit:rebuild -- --into SCHEMA    DATABASE_URL: the owner of the database, who may make a schema.
// Verifies the chain, writes what it says into the new schema, and holds that against the live tables, all as of one
// moment. Ends with 0 when nothing differs, or with 1 and the first rows that do. The schema stays; drop it by hand.

const url = process.env['DATABASE_URL']
const { into } = parseArgs({ options: { into: { type: 'string' } }, strict: false }).values
if (url === undefined || typeof into !== 'string' || into === '') {
  console.error('usage: DATABASE_URL=postgres://... npm run audit:rebuild -- --into SCHEMA')
  process.exit(2)
}

const client = new pg.Client({ connectionString: url, application_name: 'audit-rebuild' })
try {
  await client.connect()
} catch (error) {
  console.error(`the database cannot be reached: ${(error as Error).message}`)
  process.exit(2)
}
try {
  process.exitCode = await run(into)
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 2
} finally {
  await client.end()
}

async function run(schema: string): Promise<number> {
  const began = performance.now()
  await client.query('begin isolation level repeatable read')
  const verdict = await verify(readLedger(client))
  if (!verdict.ok) {
    console.error(`row ${verdict.seq} ${verdict.problem}`)
    return 1
  }
  const head = await rebuild(client, schema)
  const differences = await diff(client, schema)
  const { rows } = await client.query<{ behind: number }>(
    `select count(*)::int as behind from deliveries where consumer = 'audit-sink' and state <> 'done'`,
  )
  await client.query('commit')
  const seconds = ((performance.now() - began) / 1_000).toFixed(1)
  console.log(`${head.seq} entries rebuilt into ${schema} (${seconds} s); the head is\n${head.seq}:${head.hash}`)
  if (rows[0]?.behind) console.log(`${rows[0].behind} records are not in the ledger yet: what they changed differs`)
  for (const difference of differences) console.error(JSON.stringify(difference))
  console.log(differences.length === 0 ? 'nothing differs' : 'the live tables are not what the ledger says')
  return differences.length === 0 ? 0 : 1
}
