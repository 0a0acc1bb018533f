import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, tax, toCents } from '../src/money.js'

test('a round price is its cents', () => {
  assert.equal(toCents(20), 2000)
  assert.equal(toCents(4.5), 450)
})

test('a price keeps each cent that was typed', () => {
  assert.equal(toCents(19.99), 1999)
  assert.equal(toCents(4.35), 435)
  assert.equal(toCents(-19.99), -1999)
})

test('what is no number is refused', () => {
  assert.throws(() => toCents(Number.NaN), TypeError)
})

test('cents are printed with two decimals', () => {
  assert.equal(format(5), '0.05')
  assert.equal(format(-1999), '-19.99')
  assert.equal(format(123456), '1234.56')
})

test('tax is rounded half up', () => {
  assert.equal(tax(1050, 19), 200)
  assert.equal(tax(250, 19), 48)
})
