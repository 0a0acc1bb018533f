import { JSONPath } from 'jsonpath-plus'
import { Failure } from './failure.ts'

/**
 * Fills a template as `kubectl -o jsonpath=` does: text outside of braces as it is, `{.items[*].id}` the values that the path
 * finds, with spaces between them, `{"\n"}` a text. Without a brace the whole template is one path. No `range`.
 */
export function fillTemplate(template: string, value: object): string {
  const whole = template.includes('{') ? template : `{${template}}`
  let filled = ''
  let rest = whole
  while (rest !== '') {
    const [found, plain = '', quoted, path] =
      /^([^{]*)(?:\{\s*(?:("(?:[^"\\]|\\.)*"|'[^']*')|((?:[^{}"']|"[^"]*"|'[^']*')*?))\s*\})?/.exec(rest) ?? []
    if (found === undefined || found === '') throw new Failure(`-o jsonpath: unclosed or empty part at ${rest}`)
    filled += plain
    if (quoted !== undefined) filled += textOf(quoted)
    else if (path !== undefined) filled += valuesOf(path, value).map(shown).join(' ')
    rest = rest.slice(found.length)
  }
  return filled
}

function valuesOf(path: string, value: object): unknown[] {
  if (!/^[.$@[]/.test(path))
    throw new Failure(
      `-o jsonpath: {${path}} is no path`,
      'A path begins with a dot: {.items[*].id}. Or use -o json with jq.',
    )
  const absolute = path.startsWith('$') ? path : `$${path.replace(/^@/, '')}`
  try {
    // `safe` computes filters without running them as code.
    return JSONPath({ path: absolute, json: value, wrap: true, eval: 'safe' }) as unknown[]
  } catch (error) {
    throw new Failure(`-o jsonpath: {${path}} is no path: ${(error as Error).message}`)
  }
}

function textOf(quoted: string): string {
  if (quoted.startsWith("'")) return quoted.slice(1, -1)
  try {
    return JSON.parse(quoted) as string
  } catch {
    throw new Failure(`-o jsonpath: ${quoted} is no text`)
  }
}

const shown = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value))
