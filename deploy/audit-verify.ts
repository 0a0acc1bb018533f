import pg from 'pg'
import { readLedger } from '../functions/audit-sink/read-ledger.ts'
import { verify, type Head } from '#shared/ledger/verify.ts'

// npm run audit:verify -- [SEQ:HASH]    DATABASE_URL says which database; it is only read.
// Ends with 0 and the head of the chain, to be written down elsewhere, or with 1 and the first row that is wrong.

const url = process.env['DATABASE_URL']
const [written] = process.argv.slice(2)
const expected = written === undefined ? undefined : headOf(written)
if (url === undefined || (written !== undefined && expected === undefined)) {
  console.error('usage: DATABASE_URL=postgres://... npm run audit:verify -- [SEQ:HASH]')
  process.exit(2)
}

const client = new pg.Client({ connectionString: url, application_name: 'audit-verify' })
try {
  await client.connect()
} catch (error) {
  console.error(`the database cannot be reached: ${(error as Error).message}`)
  process.exit(2)
}
const began = performance.now()
const verdict = await verify(readLedger(client), expected)
await client.end()
if (!verdict.ok) {
  console.error(`row ${verdict.seq} ${verdict.problem}`)
  process.exit(1)
}
const seconds = ((performance.now() - began) / 1_000).toFixed(1)
console.log(`${verdict.head.seq} rows hold (${seconds} s); the head is\n${verdict.head.seq}:${verdict.head.hash}`)

function headOf(text: string): Head | undefined {
  const [, seq, hash] = /^(\d+):([0-9a-f]{64})$/.exec(text) ?? []
  return hash === undefined ? undefined : { seq: Number(seq), hash }
}
