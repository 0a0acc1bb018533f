/**
 * What a terminal would obey or show as something else: control characters but line feed and tab, the C1 set, marks that
 * turn the direction of text around, and characters without a width.
 */
const HARMFUL =
  // oxlint-disable-next-line no-control-regex -- these are what it looks for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu

/** The text with everything that a terminal would obey made visible, as `\u001b`. Lines and tabs stay. */
export function harmless(text: string): string {
  return text.replace(HARMFUL, (found) => `\\u${hex(found.codePointAt(0), 4)}`)
}

/** The same for a cell of a table: one line. */
export function oneLine(text: string): string {
  return harmless(text.replace(/\s*[\n\r\t]\s*/g, ' '))
}

/** The same for text between double quotes in JSON or YAML: escaped, so that whoever parses it gets what was there. */
export function harmlessInQuotes(text: string, language: 'json' | 'yaml'): string {
  return text.replace(HARMFUL, (found) =>
    language === 'yaml'
      ? `\\U${hex(found.codePointAt(0), 8)}`
      : Array.from({ length: found.length }, (_, at) => `\\u${hex(found.charCodeAt(at), 4)}`).join(''),
  )
}

/** Whether a text holds something that a terminal would obey. */
export function isHarmful(text: string): boolean {
  return text.search(HARMFUL) >= 0
}

const hex = (code: number | undefined, digits: number) => (code ?? 0).toString(16).padStart(digits, '0')
