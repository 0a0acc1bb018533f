import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { KnCommand } from './kn-command.ts'
import { program } from './program.ts'
import { terminal } from './terminal.ts'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const operate = read('docs/operate.md')

test('every alert has its section in docs/operate.md, says where, and no section is of none', () => {
  const rules = parseAllDocuments(read('deploy/observability/alerts.yaml'))
    .flatMap((document) => (document.toJS() as Rules).spec.groups)
    .flatMap((group) => group.rules)
  const sections = [...operate.matchAll(/^### (CodexK8s\w+)$/gm)].map(([, name]) => name)
  expect(sections).toEqual(rules.map(({ alert }) => alert))
  for (const { alert, annotations } of rules)
    expect(annotations['runbook']).toBe(`docs/operate.md#${alert.toLowerCase()}`)
})

test('every command in docs/operate.md and in the alerts is one, with options that it has', () => {
  const root = program(terminal({ write: () => true }, { write: () => true }, Date.now))
  const known = new Map(leaves(root).map((command) => [pathOf(command), optionsOf(command)]))
  const text = operate.replaceAll(/\s*\n(?! )/g, ' ') + read('deploy/observability/alerts.yaml')
  const written = [...text.matchAll(/`kn codex ([^`]+)`|^ {4}kn codex (.*?)(?: {2,}| >> |$)/gm)].map(
    ([, quoted, shown]) => (quoted ?? shown ?? '').split(/\s+/),
  )
  expect(written.length).toBeGreaterThan(40)
  const wrong = written.filter((words) => {
    const options = known.get(words.slice(0, 2).join(' ')) ?? known.get(words[0] ?? '')
    return options === undefined || words.some((word) => word.startsWith('-') && !options.has(word))
  })
  expect(wrong).toEqual([])
})

interface Rules {
  readonly spec: {
    readonly groups: readonly {
      readonly rules: readonly { readonly alert: string; readonly annotations: Readonly<Record<string, string>> }[]
    }[]
  }
}

/** Commands that do something: those without commands of their own. */
function leaves(command: KnCommand): KnCommand[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap((each) => leaves(each as KnCommand))
}

function pathOf(command: KnCommand): string {
  const parent = command.parent as KnCommand | null
  return parent?.parent ? `${pathOf(parent)} ${command.name()}` : command.name()
}

function optionsOf(command: KnCommand): Set<string> {
  const own = command.options.flatMap(({ short, long }) => [short, long])
  const inherited = command.parent === null ? [] : [...optionsOf(command.parent as KnCommand)]
  return new Set([...own, ...inherited].filter((name) => name !== undefined && name !== null))
}
