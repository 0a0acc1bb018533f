import { expect, test } from 'vitest'
import { lineSplitter, redactor, runLog } from './log.ts'

test('a log keeps its head and its tail within 1 MiB', () => {
  const log = runLog(redactor([]))
  for (let number = 0; number < 30_000; number++) log.add(`line ${number} ${'x'.repeat(90)}`)
  const text = log.text()
  expect(text.length).toBeLessThan(1024 * 1024 + 100)
  expect(text).toMatch(/^line 0 /)
  expect(text).toMatch(/line 29999 x+\n$/)
  expect(text).toMatch(/^\[\d+ characters left out\]$/m)
})

test('a short log is whole, and has no token', () => {
  const log = runLog(redactor(['run.secret', 'model.secret']))
  log.add('a run.secret b model.secret run.secret')
  log.add('c')
  expect(log.text()).toBe('a [token] b [token] [token]\nc\n')
})

test('one endless line does not fill the log or the memory', () => {
  const log = runLog(redactor([]))
  log.add('x'.repeat(2_000_000))
  expect(log.text().length).toBeLessThan(600_000)
  const lines: string[] = []
  const splitter = lineSplitter((line) => lines.push(line))
  for (let number = 0; number < 40; number++) splitter.write(Buffer.alloc(64 * 1024, 'y'))
  splitter.write(Buffer.from('\nnext'))
  splitter.end()
  expect(lines.map(({ length }) => length)).toEqual([1024 * 1024, 4])
})

test('a character that is split between two writes arrives whole', () => {
  const lines: string[] = []
  const splitter = lineSplitter((line) => lines.push(line))
  for (const byte of Buffer.from('grüße\n日本\n')) splitter.write(Buffer.of(byte))
  splitter.end()
  expect(lines).toEqual(['grüße', '日本'])
})
