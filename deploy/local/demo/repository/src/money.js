/** Cents of a price as people type it, e.g. 19.99. */
export function toCents(price) {
  if (!Number.isFinite(price)) throw new TypeError(`not a price: ${price}`)
  return Math.trunc(price * 100)
}

/** Cents as text with two decimals. */
export function format(cents) {
  const sign = cents < 0 ? '-' : ''
  const digits = String(Math.abs(cents)).padStart(3, '0')
  return `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}`
}

/** Tax in cents on a net amount in cents, rounded half up. */
export function tax(cents, percent) {
  return Math.round((cents * percent) / 100)
}
