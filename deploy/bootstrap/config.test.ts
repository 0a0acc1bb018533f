import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { parseConfig, readConfig } from './config.ts'

const least = { database: { ownerUrl: { env: 'OWNER' } }, forge: { token: { env: 'TOKEN' } } }

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'config-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'codex-k8s.yaml'), text)
  return join(folder, 'codex-k8s.yaml')
}

test('the example can be used, and says the defaults', () => {
  const example = readConfig(fileURLToPath(new URL('../../codex-k8s.example.yaml', import.meta.url)))
  const { database: _, forge: __, model: ___, images: ____, ...said } = example
  const { database, forge, model, images, ...defaults } = parseConfig(least)
  expect(said).toEqual(defaults)
  expect(example.model).toMatchObject(model)
  expect(example.forge.apiUrl).toBe(forge.apiUrl)
  expect(example.images.pin).toBe(images.pin)
  expect(Object.keys(example.database)).toEqual(Object.keys(database))
})

test('paths are relative to the file they are in', () => {
  const path = file('database: { ownerUrl: { file: owner } }\nforge: { token: { env: T } }\noverlays: [mine]\n')
  const folder = path.slice(0, path.lastIndexOf('/'))
  const { database, overlays, images } = readConfig(path)
  expect(database.ownerUrl).toEqual({ file: join(folder, 'owner') })
  expect(overlays).toEqual([join(folder, 'mine')])
  expect(images.file).toBe(join(folder, 'dist/images.json'))
})

test('every problem is named by its key, and no value is shown', () => {
  const cases: readonly [config: object, problem: RegExp][] = [
    [{ ...least, forge: { token: 'geheim-1' } }, /forge.token: is no reference: write \{ env: NAME \}/],
    [{ ...least, model: { key: { env: 'A', extra: 'geheim-2' } } }, /model.key/],
    [{ ...least, model: { key: { value: 'geheim-3' } } }, /model.key/],
    [{ ...least, namespce: 'geheim-4' }, /namespce: is not a key that is known/],
    [{ ...least, namespace: 'Geheim 5' }, /namespace: is not a name of Kubernetes/],
    [{ ...least, publicUrl: 'geheim-6' }, /publicUrl: is not a URL/],
    [{ ...least, runNamespaces: [] }, /runNamespaces/],
    [{ ...least, broker: { class: 'geheim-7' } }, /broker.class: has to be \("MTChannelBasedBroker" \|/],
    [{ ...least, repositories: [{ name: 'geheim 8' }] }, /repositories.0.name: is not OWNER\/NAME/],
    [
      { ...least, repositories: [{ name: 'a/b', settings: { runNamespace: 'geheim-9' } }] },
      /repositories.0.settings.runNamespace: is none of runNamespaces/,
    ],
    [{ ...least, gates: { dev: { quorum: 'geheim-10' } } }, /gates.dev/],
    [{ ...least, model: { names: ['geheim-11,x'] } }, /model.names.0: is empty, or has a comma/],
    [{ ...least, staff: { admins: ['user:geheim 12'] } }, /staff.admins.0/],
    [{ ...least, database: { trial: { storage: 'geheim-13' } } }, /database.*storage: is no size such as 5Gi/],
    [{ forge: least.forge }, /database: is missing/],
    [{ ...least, forge: {} }, /forge: needs either app or token/],
    [{ ...least, database: { trial: {}, ownerUrl: { env: 'A' } } }, /database: needs either ownerUrl or trial/],
  ]
  for (const [config, problem] of cases) {
    expect(() => parseConfig(config)).toThrow(problem)
    expect(() => parseConfig(config)).not.toThrow(/geheim/i)
  }
})

test('what is no YAML is shown by its line only', () => {
  expect(() => readConfig(file('a: 1\nb: [geheim\nc: }\n'))).toThrow(/line \d+ is not YAML/)
  expect(() => readConfig(file('a: 1\nb: [geheim\nc: }\n'))).not.toThrow(/geheim/)
  expect(() => readConfig('/nowhere/codex-k8s.yaml')).toThrow(/cp codex-k8s.example.yaml/)
})
