import { describe, expect, test } from 'vitest'
import { decide, type Delivery, type Project } from './decide.ts'

const attributes = {
  source: 'https://a',
  type: 'com.github.issues.labeled',
  subject: '7',
  time: '2026-01-02T03:04:05Z',
}
const project: Project = { id: 'p', repositoryId: '42', state: 'connected', settings: {} }
const delivery: Delivery = {
  isAppHook: false,
  project,
  isPing: false,
  namesRepository: true,
  repositoryId: '42',
  isOfClaimedEvent: true,
  attributes,
  extensions: { provider: 'github' },
}
const without = { namesRepository: false, repositoryId: undefined }
const disconnected = { project: { ...project, state: 'disconnected' as const } }

describe('an authentic delivery', () => {
  test.for<readonly [string, Partial<Delivery>, string | null]>([
    ['of the repository of its hook', {}, 'p'],
    ["of a repository of an App's hook", { isAppHook: true }, 'p'],
    ['that is a ping without a repository', { ...without, isPing: true }, 'p'],
    ["of an App's hook without a repository", { ...without, isAppHook: true, project: undefined }, null],
  ])('%s is accepted', ([, change, projectId]) => {
    expect(decide({ ...delivery, ...change })).toEqual({
      kind: 'accept',
      projectId,
      attributes,
      extensions: delivery.extensions,
    })
  })

  test.for<readonly [string, Partial<Delivery>, string, string | null]>([
    ['W4: of another repository', { repositoryId: '43' }, 'repository_mismatch', 'p'],
    ['W4: of another repository on a ping', { repositoryId: '43', isPing: true }, 'repository_mismatch', 'p'],
    ['W4: with an unreadable repository', { repositoryId: undefined }, 'repository_missing', 'p'],
    [
      "W4: with an unreadable repository on an App's hook",
      { repositoryId: undefined, isAppHook: true },
      'repository_missing',
      'p',
    ],
    ['W4: without a repository', without, 'repository_missing', 'p'],
    [
      "of a repository that an App's hook does not serve",
      { isAppHook: true, project: undefined },
      'project_unknown',
      null,
    ],
    ['of a disconnected project', disconnected, 'project_disconnected', 'p'],
    ['of a disconnected project, a ping', { ...disconnected, ...without, isPing: true }, 'project_disconnected', 'p'],
    ['W7: under the name of another event', { isOfClaimedEvent: false }, 'event_mismatch', 'p'],
    ['without a value for its type', { attributes: undefined }, 'attribute_missing', 'p'],
  ])('%s is set aside', ([, change, reason, projectId]) => {
    expect(decide({ ...delivery, ...change })).toEqual({ kind: 'quarantine', projectId, reason })
  })
})
