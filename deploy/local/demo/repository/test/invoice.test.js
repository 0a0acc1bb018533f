import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { render, totals } from '../src/invoice.js'

const example = JSON.parse(readFileSync(new URL('../examples/support.json', import.meta.url), 'utf8'))

test('the total is the sum of what was typed', () => {
  assert.deepEqual(totals(example), { net: 2434, tax: 0, total: 2434 })
})

test('tax is added to the net amount', () => {
  const lines = [{ text: 'Hour', quantity: 2, price: 50 }]
  assert.deepEqual(totals({ lines, taxPercent: 19 }), { net: 10000, tax: 1900, total: 11900 })
})

test('the invoice shows each line and the total', () => {
  const text = render({ number: '1', taxPercent: 0, lines: [{ text: 'Hour', quantity: 2, price: 50 }] })
  assert.match(text, /2 x Hour +100\.00/)
  assert.match(text, /Total +100\.00/)
})
