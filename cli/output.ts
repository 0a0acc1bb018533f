import { Document, Scalar, visit } from 'yaml'
import { Failure } from './failure.ts'
import { harmless, harmlessInQuotes, isHarmful } from './harmless.ts'
import { fillTemplate } from './jsonpath.ts'
import { table, type Column } from './table.ts'

/** How an answer is printed, if not as a table; `jsonpath=TEMPLATE` is `jsonpath` with the template. */
export type Format =
  | { readonly kind: 'wide' | 'json' | 'yaml' | 'name' }
  | { readonly kind: 'jsonpath'; readonly template: string }

const kinds = ['wide', 'json', 'yaml', 'name'] as const

/** Reads the value of `-o`. */
export function parseFormat(text: string): Format {
  const [, template] = /^jsonpath=(.+)$/s.exec(text) ?? []
  if (template !== undefined) return { kind: 'jsonpath', template }
  const kind = kinds.find((one) => one === text)
  if (kind !== undefined) return { kind }
  throw new Failure(
    `unable to match a printer suitable for the output format "${text}", allowed formats are: ${kinds.join(',')},jsonpath=...`,
  )
}

/** What a list is printed with. */
export interface Listing<Row> {
  readonly columns: readonly Column<Row>[]
  /** What `-o name` prints: kind and name. */
  name(row: Row): string
  /** Said instead of an empty table. */
  readonly none: string
}

/** A list in the wanted form. `answer` is what the server said, for the forms that show everything. */
export function listing<Row>(
  format: Format | undefined,
  headers: boolean,
  answer: { readonly items: readonly Row[] },
  { columns, name, none }: Listing<Row>,
): string {
  if (format?.kind === 'name') return answer.items.map((row) => `${harmless(name(row))}\n`).join('')
  if (format !== undefined && format.kind !== 'wide') return structured(format, answer)
  if (answer.items.length === 0) return `${none}\n`
  return table(answer.items, columns, { headers, wide: format !== undefined })
}

/** One thing in the wanted form; `describe` says it in words. */
export function single(format: Format | undefined, answer: object, name: string, describe: () => string): string {
  if (format?.kind === 'name') return `${harmless(name)}\n`
  return format === undefined || format.kind === 'wide' ? describe() : structured(format, answer)
}

function structured(format: Format, value: object): string {
  if (format.kind === 'jsonpath') return `${harmless(fillTemplate(format.template, value))}\n`
  if (format.kind === 'yaml') return yaml(value)
  return `${harmlessInQuotes(JSON.stringify(value, undefined, 2), 'json')}\n`
}

/** YAML whose texts mean what they are, also where a terminal would obey them: those stand in quotes, escaped. */
function yaml(value: object): string {
  const document = new Document(value)
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string' && isHarmful(node.value)) node.type = Scalar.QUOTE_DOUBLE
    },
  })
  return harmlessInQuotes(document.toString({ lineWidth: 0 }), 'yaml')
}
