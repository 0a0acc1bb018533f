import pg from 'pg'

// The floor of verifying: the same rows, read in the same way, looked at by nobody.
const client = new pg.Client({ connectionString: process.env['DATABASE_URL'], application_name: 'ledger-read' })
await client.connect()
const began = performance.now()
for (let after = '0'; ;) {
  const { rows } = await client.query<{ seq: string }>(
    'select seq, outbox_id, previous, hash, entry from ledger where seq > $1 order by seq limit 5000',
    [after],
  )
  if (rows.length === 0) break
  after = rows.at(-1)?.seq ?? '0'
}
await client.end()
process.stdout.write(`(${((performance.now() - began) / 1_000).toFixed(1)} s)\n`)
