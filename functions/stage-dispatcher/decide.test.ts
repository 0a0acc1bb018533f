import { describe, expect, test } from 'vitest'
import { judge, type OpenAttempt, type Verdict } from './decide.ts'
import { jobName } from './job-name.ts'

const running = { uid: 'u', run: 'r', state: 'running' } as const
const ended = { ...running, state: 'ended', end: 'it was killed by SIGKILL' } as const
const late = { ...running, state: 'ended', end: 'it took longer than it may', cause: 'deadline' } as const
const silent = { ...running, state: 'ended', end: 'it gave no sign of life', cause: 'silence' } as const
const open: OpenAttempt = {
  last: false,
  state: 'created',
  deadlinePassed: false,
  quiet: 0,
  unheard: undefined,
  job: running,
}

describe('an attempt that is due', () => {
  test.for<[string, Partial<OpenAttempt>, Verdict]>([
    ['at work', {}, { kind: 'leave' }],
    ['waiting for a place', { job: { ...running, state: 'waiting' } }, { kind: 'leave' }],
    [
      'at work as far as the launcher knows, and silent for too long',
      { unheard: 1300 },
      { kind: 'fail', reason: 'agent_silent', detail: 'nothing was heard of it for 1300 seconds' },
    ],
    [
      'silent because it is gone',
      { unheard: 1300, job: undefined },
      { kind: 'lost', again: true, detail: 'the Job is gone and left no result' },
    ],
    ['intended and not created', { state: 'intended', job: undefined }, { kind: 'launch' }],
    ['intended, and created before a crash', { state: 'intended' }, { kind: 'launch' }],
    ['ended without a result', { job: ended }, { kind: 'lost', again: true, detail: 'it was killed by SIGKILL' }],
    ['gone', { job: undefined }, { kind: 'lost', again: true, detail: 'the Job is gone and left no result' }],
    [
      'gone the last time',
      { job: undefined, last: true },
      { kind: 'lost', again: false, detail: 'the Job is gone and left no result' },
    ],
    [
      'intended, created and ended before that was written down',
      { state: 'intended', job: ended },
      { kind: 'lost', again: true, detail: 'it was killed by SIGKILL' },
    ],
    ['late', { deadlinePassed: true }, { kind: 'fail', reason: 'deadline_exceeded', detail: undefined }],
    [
      'late before it was created',
      { deadlinePassed: true, state: 'intended' },
      { kind: 'fail', reason: 'deadline_exceeded', detail: undefined },
    ],
    [
      'late and gone',
      { deadlinePassed: true, job: undefined },
      { kind: 'fail', reason: 'deadline_exceeded', detail: undefined },
    ],
    [
      'ended for its deadline, by a clock that is ahead of ours',
      { job: late },
      { kind: 'fail', reason: 'deadline_exceeded', detail: 'it took longer than it may' },
    ],
    [
      'ended for its silence, and not tried again',
      { job: silent },
      { kind: 'fail', reason: 'agent_silent', detail: 'it gave no sign of life' },
    ],
  ])('%s', ([, attempt, verdict]) => {
    expect(judge({ ...open, ...attempt })).toEqual(verdict)
  })
})

describe('the name of a Job', () => {
  test('T6 is 30 letters and digits that Kubernetes takes, and another one for every run and attempt', () => {
    const names = new Set<string>()
    for (let index = 0; index < 50_000; index += 1) {
      const run = `00000000-0000-4000-8000-${index.toString(16).padStart(12, '0')}`
      for (const attempt of [1, 2]) names.add(jobName(run, attempt))
    }
    expect(names.size).toBe(100_000)
    expect([...names].every((name) => /^run-[a-z2-7]{26}$/.test(name))).toBe(true)
  })

  test('is the same whenever it is asked for, and tells run 1 attempt 11 from run 11 attempt 1', () => {
    expect(jobName('1', 11)).toBe(jobName('1', 11))
    expect(jobName('1', 11)).not.toBe(jobName('11', 1))
  })
})
