import { describe, expect, test } from 'vitest'
import { GENESIS, link } from '#shared/ledger/link.ts'
import { verify, type LedgerRow } from '#shared/ledger/verify.ts'
import { entryText } from './chain.ts'

const LENGTH = 200

function chain(): LedgerRow[] {
  const rows: LedgerRow[] = []
  for (let seq = 1; seq <= LENGTH; seq += 1) {
    const previous = rows.at(-1)?.hash ?? GENESIS
    const outbox_id = `00000000-0000-4000-8000-${String(seq).padStart(12, '0')}`
    const entry = entryText({
      seq,
      outboxId: outbox_id,
      at: new Date(1_700_000_000_000 + seq).toISOString(),
      record: { type: 'x', subject: `runs/${seq}`, rows: {} },
    })
    rows.push({ seq, outbox_id, previous, hash: link(previous, seq, entry), entry })
  }
  return rows
}

const verdictOf = (rows: readonly LedgerRow[], expected?: { seq: number; hash: string }) =>
  verify(
    (async function* () {
      yield* rows
    })(),
    expected,
  )

const whole = chain()
const head = { seq: LENGTH, hash: whole.at(-1)?.hash ?? '' }

describe('the verifier', () => {
  test('finds nothing wrong with a whole chain, and says where it ends', async () => {
    expect(await verdictOf(whole)).toEqual({ ok: true, head })
    expect(await verdictOf(whole, head)).toEqual({ ok: true, head })
    expect(await verdictOf([])).toEqual({ ok: true, head: { seq: 0, hash: GENESIS } })
  })

  const flips: Record<keyof LedgerRow, (row: LedgerRow) => LedgerRow> = {
    seq: (row) => ({ ...row, seq: row.seq + 1_000 }),
    outbox_id: (row) => ({ ...row, outbox_id: row.outbox_id.replace(/^0/, '1') }),
    previous: (row) => ({ ...row, previous: flipped(row.previous) }),
    hash: (row) => ({ ...row, hash: flipped(row.hash) }),
    entry: (row) => ({ ...row, entry: row.entry.replace('runs/', 'runs/0') }),
  }
  test.for(Object.entries(flips))(
    'U6: names the row when its %s is changed, at every one of 200 rows',
    async ([, flip]) => {
      for (let index = 0; index < LENGTH; index += 1) {
        const verdict = await verdictOf(whole.with(index, flip(whole[index] as LedgerRow)))
        // A row that claims another number is named by the number it claims.
        const changed = whole.with(index, flip(whole[index] as LedgerRow))[index]
        expect(verdict).toMatchObject({ ok: false, seq: changed?.seq })
      }
    },
  )

  test('U6: names the first row behind a deleted, an inserted, two swapped ones', async () => {
    const row = (index: number) => whole[index] as LedgerRow
    expect(await verdictOf(whole.toSpliced(100, 1))).toMatchObject({ ok: false, seq: 102 })
    expect(await verdictOf(whole.toSpliced(100, 0, row(50)))).toMatchObject({ ok: false, seq: 51 })
    expect(await verdictOf(whole.with(100, row(101)).with(101, row(100)))).toMatchObject({ ok: false, seq: 102 })
  })

  test('sees a tail that was cut off or a chain that was computed anew only by a head from elsewhere', async () => {
    const cut = whole.slice(0, 150)
    expect(await verdictOf(cut)).toMatchObject({ ok: true })
    expect(await verdictOf(cut, head)).toMatchObject({ ok: false, seq: 151 })
    const anew = chain().map((row) => row)
    const entry = entryText({
      seq: LENGTH,
      outboxId: anew.at(-1)?.outbox_id ?? '',
      at: new Date(0).toISOString(),
      record: {},
    })
    const last = { ...(anew.at(-1) as LedgerRow), entry, hash: link(anew.at(-2)?.hash ?? '', LENGTH, entry) }
    expect(await verdictOf(anew.with(-1, last))).toMatchObject({ ok: true })
    expect(await verdictOf(anew.with(-1, last), head)).toMatchObject({ ok: false, seq: LENGTH })
  })
})

function flipped(hex: string): string {
  return (hex.startsWith('0') ? '1' : '0') + hex.slice(1)
}
