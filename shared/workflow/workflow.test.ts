import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseWorkflow } from '#shared/workflow/workflow.ts'

const text = readFileSync(new URL('default.yaml', import.meta.url), 'utf8')
const lineOf = (needle: string) => text.split('\n').findIndex((line) => line.includes(needle)) + 1

describe('a workflow file', () => {
  test('that ships with the product is valid, has its digest, and protects what no agent may write', () => {
    const workflow = parseWorkflow(text, 'default.yaml')
    expect(workflow.stages.map(({ id }) => id)).toEqual(['dev'])
    expect(workflow.digest).toMatch(/^[0-9a-f]{64}$/)
    expect(workflow.digest).not.toBe(parseWorkflow(`${text}\n# a comment\n`, 'x').digest)
    expect(workflow.stages[0]?.writeScope.protected).toContain('.github/workflows/**')
  })

  test.for([
    ['effort: high', 'effort: enormous', 'stages.0.effort'],
    ['tokens: 4000000', 'tokens: -1', 'stages.0.budget.tokens'],
    ['role: dev', 'role: king', 'stages.0.role'],
    ['kind: code', 'kind: everything', 'stages.0.writeScope.kind'],
    ['gate: null', 'gate: { users: [] }', 'stages.0.gate'],
  ] as const)('with %s as %s names the line and the place', ([good, bad, place]) => {
    const broken = text.replace(good, bad)
    expect(() => parseWorkflow(broken, 'team.yaml')).toThrow(
      new RegExp(`^team\\.yaml:${lineOf(good)}: ${place.replaceAll('.', '\\.')}`, 'm'),
    )
  })

  test('with what is not there names the line of what it is missing in, one line per problem', () => {
    const broken = text.replace(/^ {4}(title|image): .*\n/gm, '')
    const error = (() => {
      try {
        return parseWorkflow(broken, 'team.yaml').digest
      } catch (reason) {
        return (reason as Error).message
      }
    })()
    const lines = error.split('\n')
    expect(lines).toHaveLength(2)
    for (const line of lines) expect(line).toMatch(/^team\.yaml:\d+: stages\.0\.(title|image): /)
  })

  test('with two stages of one id, with a key too much, or that is no YAML, is refused', () => {
    const stage = text.slice(text.indexOf('  - id: dev'))
    expect(() => parseWorkflow(text + stage, 'x')).toThrow('two stages have the same id')
    expect(() => parseWorkflow(`${text}\nextra: 1\n`, 'x')).toThrow(/extra/)
    expect(() => parseWorkflow('stages: [', 'x')).toThrow(/^x: .*line 1/)
    for (const empty of ['', '[]', 'null']) expect(() => parseWorkflow(empty, 'x')).toThrow(/^x:1: /)
  })
})
