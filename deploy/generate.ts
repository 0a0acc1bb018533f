import { readFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, resolve } from 'node:path'
import { parse } from 'yaml'

// npm run generate -- [--check]: what is made of api/openapi.yaml. With --check nothing is written: it ends with 1 when a
// file is not what the contract says.

const api = resolve(import.meta.dirname, '..', 'api')
const contract = join(api, 'openapi.yaml')
const header = '// Generated from openapi.yaml by npm run generate. Do not edit.\n'

/** An operation of the contract, as far as the table of operations says it. */
interface Operation {
  readonly operationId: string
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly required?: boolean }
  readonly 'x-role': string
  readonly 'x-scope': string
}

interface Parameter {
  readonly $ref?: string
  readonly in?: string
}

/** Every generated file by its name, as it has to be. */
export async function generate(): Promise<ReadonlyMap<string, string>> {
  // The generator needs the compiler as a library, which TypeScript 7 is not.
  registerHooks({
    resolve: (specifier, context, next) =>
      next(specifier === 'typescript' ? '@typescript/typescript6' : specifier, context),
  })
  const { createClient } = await import('@hey-api/openapi-ts')
  // Below our own folder, so that it resolves packages as the rest does.
  const out = mkdtempSync(join(api, '.generated-'))
  try {
    await createClient({
      input: contract,
      output: { path: out, header: [] },
      plugins: ['@hey-api/typescript', 'valibot'],
      logs: { level: 'silent', file: false },
    })
    const read = (name: string) => header + '\n' + readFileSync(join(out, name), 'utf8').replace(/^\s*/, '')
    return new Map([
      ['types.gen.ts', read('types.gen.ts')],
      ['schemas.gen.ts', read('valibot.gen.ts')],
      ['operations.gen.ts', operationsOf(parse(readFileSync(contract, 'utf8')) as Contract)],
    ])
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

interface Contract {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation | readonly Parameter[]>>>>
  readonly components: { readonly parameters: Readonly<Record<string, Parameter>> }
}

/** Method, path, who may, and the schemas of what is sent and answered, of each operation. */
function operationsOf({ paths, components }: Contract): string {
  const placeOf = ({ $ref, in: place }: Parameter) =>
    place ?? components.parameters[$ref?.slice($ref.lastIndexOf('/') + 1) ?? '']?.in
  const lines = Object.entries(paths).flatMap(([path, { parameters: shared = [], ...methods }]) =>
    Object.entries(methods as Readonly<Record<string, Operation>>).map(([method, operation]) => {
      const { operationId: id, requestBody, parameters = [] } = operation
      const places = new Set([...(shared as readonly Parameter[]), ...parameters].map(placeOf))
      const schema = (part: string, is: boolean) =>
        is ? `s.v${id[0]?.toUpperCase()}${id.slice(1)}${part}` : 'undefined'
      return [
        `  ${id}: {`,
        `    method: '${method.toUpperCase()}',`,
        `    path: '${path.replaceAll(/\{(\w+)\}/g, ':$1')}',`,
        `    role: '${operation['x-role']}',`,
        `    scope: '${operation['x-scope']}',`,
        `    pathSchema: ${schema('Path', places.has('path'))},`,
        `    querySchema: ${schema('Query', places.has('query'))},`,
        `    bodySchema: ${schema('Body', requestBody !== undefined)},`,
        `    bodyRequired: ${requestBody?.required === true},`,
        `    responseSchema: ${schema('Response', true)},`,
        '  },',
      ].join('\n')
    }),
  )
  const start = `${header}\nimport * as s from './schemas.gen.ts'\n\n/** Every operation of the contract by its operationId. */\n`
  return `${start}export const operations = {\n${lines.join('\n')}\n} as const\n`
}

if (import.meta.main) {
  const check = process.argv.includes('--check')
  const stale: string[] = []
  for (const [name, text] of await generate()) {
    const path = join(api, name)
    const before = readText(path)
    if (before === text) continue
    stale.push(name)
    if (!check) writeFileSync(path, text)
  }
  if (check && stale.length > 0) {
    console.error(`api/openapi.yaml says otherwise than ${stale.join(', ')}: run npm run generate`)
    process.exitCode = 1
  } else if (!check) console.log(stale.length === 0 ? 'nothing to generate' : `generated ${stale.join(', ')}`)
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
