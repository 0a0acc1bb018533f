import { connect } from '#shared/db/connect.ts'
import { subscriptions, type Consumer } from '#shared/events/subscriptions.ts'
import { redrive } from '#shared/outbox/redrive.ts'

// npm run redrive -- CONSUMER [ID ...]    DATABASE_URL says which database.
// Lists what is quarantined at a consumer; with ids, of the outbox rows it lists, it is put back for the next sweep.

const url = process.env['DATABASE_URL']
const [consumer = '', ...ids] = process.argv.slice(2)
const isId = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
if (url === undefined || !Object.hasOwn(subscriptions, consumer) || !ids.every(isId)) {
  console.error('usage: DATABASE_URL=postgres://... npm run redrive -- CONSUMER [ID ...]')
  console.error(`CONSUMER is one of ${Object.keys(subscriptions).join(', ')}`)
  process.exit(2)
}

const db = connect(url, { name: 'redrive' })
let failed = false
for (const id of ids) {
  const isBack =
    (await redrive(db, consumer as Consumer, id, { producer: 'redrive', by: 'npm run redrive' })).length > 0
  failed ||= !isBack
  console.log(`${id}: ${isBack ? 'put back, the next sweep hands it over' : 'is not quarantined at this consumer'}`)
}
if (ids.length === 0) {
  const rows = await db
    .selectFrom('deliveries')
    .innerJoin('outbox', 'outbox.id', 'deliveries.outbox_id')
    .select(['outbox.id', 'type', 'subject', 'outcome'])
    .where('consumer', '=', consumer as Consumer)
    .where('state', '=', 'quarantined')
    .orderBy('settled_at')
    .limit(100)
    .execute()
  for (const { id, type, subject, outcome } of rows) console.log(`${id}  ${type}  ${subject}  ${outcome}`)
  console.log(`${rows.length === 100 ? 'the oldest 100' : rows.length} quarantined at ${consumer}`)
}
await db.destroy()
process.exitCode = failed ? 1 : 0
