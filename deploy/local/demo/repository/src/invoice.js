import { format, tax, toCents } from './money.js'

/** Net, tax and total of an invoice, in cents. */
export function totals({ lines, taxPercent = 0 }) {
  const net = lines.reduce((sum, { quantity, price }) => sum + quantity * toCents(price), 0)
  const taxed = tax(net, taxPercent)
  return { net, tax: taxed, total: net + taxed }
}

/** The invoice as text. */
export function render(invoice) {
  const { net, tax: taxed, total } = totals(invoice)
  const rows = invoice.lines.map(({ text, quantity, price }) => row(`${quantity} x ${text}`, quantity * toCents(price)))
  return [
    `Invoice ${invoice.number}`,
    ...rows,
    row('Net', net),
    row(`Tax ${invoice.taxPercent ?? 0} %`, taxed),
    row('Total', total),
  ].join('\n')
}

function row(text, cents) {
  return `${text.padEnd(30)}${format(cents).padStart(10)}`
}
