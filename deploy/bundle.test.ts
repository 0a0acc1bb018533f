import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sha256 } from '#shared/digest.ts'
import { crashPoints } from './bundle-limits.ts'
import { bundle } from './bundle.ts'
import { units, type Unit } from './units.ts'

let folder: string

// Inside the repository, so that packages and #shared/ resolve as they do for functions.
beforeAll(() => {
  const local = resolve(import.meta.dirname, '..', '.local')
  fs.mkdirSync(local, { recursive: true })
  folder = fs.mkdtempSync(join(local, 'bundle-test-'))
})

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

function bundleOf(name: string, source: string) {
  const entry = join(folder, `${name}.ts`)
  fs.writeFileSync(entry, source)
  return bundle({ name, entry }, folder)
}

test.for(units())('$name keeps its limits and starts as far as its configuration', async (unit) => {
  expect(await bundle(unit, folder)).toMatchObject({ problems: [] })
  const { status, stderr } = spawnSync(process.execPath, [join(folder, unit.name, 'main.js')], {
    env: {},
    encoding: 'utf8',
  })
  expect(stderr.slice(-1_000)).toMatch(/^[A-Z_]+: is not set$/m)
  expect(status).toBe(78)
})

test('crash points leave no trace in a bundle', async () => {
  const name = [...crashPoints()][0] ?? ''
  const { problems } = await bundleOf(
    'quiet',
    `import { armCrashPoint, crashPoint } from '#shared/crash-point.ts'
    armCrashPoint(process.env['CRASH'])
    crashPoint('${name}')
    console.log('alive')`,
  )
  expect(problems).toEqual([])
  expect(fs.readFileSync(join(folder, 'quiet', 'program.js'), 'utf8')).not.toMatch(/crashPoint|SIGKILL/)
  expect(spawnSync(process.execPath, [join(folder, 'quiet', 'main.js')], { encoding: 'utf8' }).stdout).toBe('alive\n')

  const loud = await bundleOf('loud', `console.log('${name}')`)
  expect(loud.problems).toEqual([`holds the crash point ${name}`])
})

test('a package in the wrong bundle is named', async () => {
  const agent = await bundleOf('agent', `import pg from 'pg'\nconsole.log(pg)`)
  expect(agent.problems).toContainEqual(expect.stringMatching(/^holds pg, which only /))
  const gateway = await bundleOf('webhook-gateway', `import { Octokit } from '@octokit/core'\nconsole.log(Octokit)`)
  expect(gateway.problems).toContainEqual(expect.stringMatching(/^holds @octokit\/\S+, which only label-router, /))
  const tool = await bundleOf('label-router', `import fc from 'fast-check'\nconsole.log(fc)`)
  expect(tool.problems).toContain('holds fast-check, a package for development')
})

test('what is over its budget is told with what is large in it', async () => {
  const { problems } = await bundleOf('large', `console.log('${'x'.repeat(500_000)}')`)
  expect(problems).toEqual([
    expect.stringMatching(/^501 KB is over its budget of 480 KB: \.local\/bundle-test-\S+ 501 KB$/),
  ])
})

test('a module that is loaded when it is asked for is a file of its own and no part of the start', async () => {
  fs.writeFileSync(
    join(folder, 'later.ts'),
    `import { Registry } from 'prom-client'\nexport const made = () => typeof new Registry()`,
  )
  const { bytes, apart, problems } = await bundleOf(
    'reconciler',
    `if (process.env['ASK']) console.log((await import('./later.ts')).made())\nelse console.log('started')`,
  )
  expect(problems).toEqual([])
  expect(bytes).toBeLessThan(1_000)
  expect(apart).toEqual([{ file: 'later.js', bytes: expect.any(Number) }])
  const main = join(folder, 'reconciler', 'main.js')
  const run = (env: Record<string, string>) => spawnSync(process.execPath, [main], { env, encoding: 'utf8' }).stdout
  expect(run({ ASK: '1' })).toBe('object\n')
  fs.rmSync(join(folder, 'reconciler', 'later.js'))
  expect(run({})).toBe('started\n')

  const early = await bundleOf('reconciler', `import { made } from './later.ts'\nconsole.log(made())`)
  expect(early.problems).toContainEqual(expect.stringMatching(/^holds prom-client, which /))
})

test('tracing is in no start: its file is loaded where a collector is named, and works as it is bundled', async () => {
  const unit = units().find(({ name }) => name === 'webhook-gateway') as Unit
  const { apart, problems } = await bundle(unit, folder)
  expect(problems).toEqual([])
  expect(apart?.map(({ file }) => file)).toContain('otlp.js')
  const script = `const { otlpTracing } = await import('${join(folder, unit.name, 'otlp.js')}')
    const tracing = otlpTracing('test', 1)
    const span = tracing.start({ name: 'x', kind: 'server' })
    span.end()
    await tracing.flush()
    process.stdout.write(span.traceparent)
    process.exit(0)`
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { env, encoding: 'utf8' })
  expect(stdout).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
})

test('the same sources give the same bytes wherever they are bundled, compiled code and all, and it is used', async () => {
  const unit = units().find(({ name }) => name === 'label-router') as Unit
  const places = ['one', 'another-of-a-longer-name', 'x', 'y'].map((name) => join(folder, name))
  await Promise.all(places.map((place) => bundle(unit, place)))
  const [one = [], ...others] = places.map((place) => {
    const files = fs.readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const paths = files.map(({ parentPath, name }) => join(parentPath, name)).toSorted()
    return paths.map((path) => [path.slice(place.length), sha256(fs.readFileSync(path))])
  })
  expect(others).toEqual([one, one, one])
  expect(one.filter(([path]) => path?.includes('/cache/')).length).toBeGreaterThanOrEqual(4)

  const { stderr } = spawnSync(process.execPath, [join(places[1] ?? '', unit.name, 'main.js')], {
    env: { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' },
    encoding: 'utf8',
  })
  expect(stderr).toMatch(/program\.js was accepted/)
})
