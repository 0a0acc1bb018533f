import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readEventing } from './manifests.ts'
import { eventingFolder, trigger } from './testing.ts'

const read = (...manifests: readonly string[]) => readEventing(eventingFolder(...manifests))

test('the manifests of this repository are all playable', () => {
  const folder = new URL('../../../eventing/', import.meta.url)
  const { brokers, triggers, pings } = readEventing(folder)
  expect([...brokers]).toEqual(['default'])
  expect(triggers.length).toBeGreaterThan(0)
  expect(new Set(triggers.map(({ name }) => name)).size).toBe(triggers.length)
  expect(pings.map(({ sink }) => sink)).toEqual([{ service: 'reconciler', uri: '/sweep' }])
  expect(readdirSync(folder)).toContain('kustomization.yaml')
})

test('a filter dialect that is not played is refused with the file and the line', () => {
  const cesql = trigger('late', `filters: [{ cesql: "type LIKE 'a%'" }]`)
  expect(() => read(trigger('early'), cesql)).toThrow(/eventing\.yaml:11: unknown filter dialect cesql$/)
})

test('broken YAML is refused with the file and the line', () => {
  expect(() => read('kind: [Trigger')).toThrow(/eventing\.yaml:4: /)
})

test('a kind that is not played is refused', () => {
  expect(() => read('kind: Sequence\nmetadata: { name: a }')).toThrow('kind Sequence is not played locally')
})

test('a trigger on a broker that is not there is refused', () => {
  expect(() => read(trigger('one', 'broker: other'))).toThrow('there is no broker other')
})

test('a broker that would make producers wait is refused', () => {
  const folder = eventingFolder()
  writeFileSync(join(folder, 'eventing.yaml'), 'kind: Broker\nmetadata: { name: default }')
  expect(() => readEventing(folder)).toThrow('messaging.knative.dev/async-handler')
})

test('exponential back-off doubles from the delay, linear begins at once', () => {
  const [exponential, linear] = ['exponential', 'linear'].map((policy) => {
    const [only] = read(
      trigger('a', `delivery: { retry: 3, backoffPolicy: ${policy}, backoffDelay: PT0.2S }`).replace(
        /\n {2}delivery: \{ retry: 2.*/,
        '',
      ),
    ).triggers
    return [0, 1, 2, 3].map((attempt) => only?.delivery.backoffMs(attempt))
  })
  expect(exponential).toEqual([200, 400, 800, 1600])
  expect(linear).toEqual([0, 200, 400, 600])
})

test.for([
  ['PT0.05S', 50],
  ['PT60S', 60_000],
  ['PT1M30S', 90_000],
  ['PT2H', 7_200_000],
] as const)('timeout %s is %i ms', ([timeout, expected]) => {
  const [only] = read(trigger('a').replace('retry: 2', `timeout: ${timeout}`)).triggers
  expect(only?.delivery.timeoutMs).toBe(expected)
})

test('a trigger without a delivery gets the whole one of its broker, with one nothing of it', () => {
  const folder = eventingFolder()
  const own = (name: string, delivery: string) =>
    `---\nkind: Trigger\nmetadata: { name: ${name} }\nspec: { subscriber: { ref: { kind: Service, name: a } } ${delivery} }\n`
  const broker = `kind: Broker\nmetadata: { name: default, annotations: { messaging.knative.dev/async-handler: 'true' } }\nspec: { delivery: { retry: 5, timeout: PT1S } }\n`
  writeFileSync(
    join(folder, 'eventing.yaml'),
    broker + own('without', '') + own('with', ', delivery: { timeout: PT2S }'),
  )
  expect(readEventing(folder).triggers.map(({ delivery }) => [delivery.retry, delivery.timeoutMs])).toEqual([
    [5, 1_000],
    [0, 2_000],
  ])
})
