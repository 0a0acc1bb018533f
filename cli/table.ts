import { oneLine } from './harmless.ts'

/** One column of a table: `wide` ones are shown with `-o wide` only. */
export interface Column<Row> {
  readonly header: string
  readonly wide?: true
  value(row: Row): string | number | null | undefined
}

/** A table as kubectl prints them: headers in capitals, three spaces between columns, `<none>` for what is not there. */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { headers = true, wide = false }: { readonly headers?: boolean; readonly wide?: boolean } = {},
): string {
  const shown = columns.filter((column) => wide || column.wide === undefined)
  const lines = rows.map((row) => shown.map((column) => cell(column.value(row))))
  if (headers) lines.unshift(shown.map(({ header }) => header.toUpperCase()))
  const widths = shown.map((_, at) => Math.max(0, ...lines.map((line) => length(line[at] ?? ''))))
  return lines
    .map(
      (line) =>
        `${line
          .map((text, at) => pad(text, (widths[at] ?? 0) + 3))
          .join('')
          .trimEnd()}\n`,
    )
    .join('')
}

/** What a thing is, one field a line, as `kubectl describe` prints it. Fields without a value are left out. */
export function fields(
  entries: readonly (readonly [name: string, value: string | number | null | undefined])[],
): string {
  const known = entries.filter(([, value]) => value !== undefined && value !== null && value !== '')
  const width = Math.max(0, ...known.map(([name]) => name.length)) + 3
  return known.map(([name, value]) => `${pad(`${name}:`, width)}${oneLine(String(value))}\n`).join('')
}

function cell(value: string | number | null | undefined): string {
  const text = oneLine(String(value ?? ''))
  return text === '' ? '<none>' : text
}

const length = (text: string) => Array.from(text).length

const pad = (text: string, width: number) => text + ' '.repeat(Math.max(0, width - length(text)))
