import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Row } from '#shared/db/schema.ts'
import { reasonOf, reasons } from '#shared/workflow/reasons.ts'
import { isOver, labelChange } from './decide.ts'
import { render, type Queue, type Story } from './render.ts'

const at = new Date('2026-01-02T03:04:05Z')
const run: Row<'runs'> = {
  id: '6f9b1c9e-0000-4000-8000-000000000001',
  project_id: '6f9b1c9e-0000-4000-8000-000000000002',
  provider: 'github',
  instance: 'https://api.github.com',
  repository_id: '1',
  subject_id: '70',
  subject_number: 7,
  label_event_id: '700',
  label: 'run:dev',
  stage: 'dev',
  requester_id: '1001',
  requester_login: 'maria',
  requested_at: at,
  state: 'running',
  reason: null,
  detail: null,
  version: 1,
  judged_at: at,
  bundle_digest: null,
  change_id: null,
  ahead: null,
  traceparent: null,
  created_at: at,
  updated_at: at,
}
const story = (columns: Partial<Row<'runs'>> = {}, more: Partial<Story> = {}): Story => ({
  run: { ...run, ...columns },
  manifest: undefined,
  change: undefined,
  queue: undefined,
  attempt: 1,
  held: null,
  gate: undefined,
  tokens: 0,
  progress: [],
  ...more,
})
const hostile = [
  '@everyone and @org/team',
  '`code` ``` fence',
  '![x](https://evil.example/track.png) [a](javascript:alert(1)) https://evil.example',
  '<img src=x onerror=alert(1)> <!-- codex-k8s:run:1 --> </sub>',
  'line\r\n# heading\u2028- item\u0085x',
  '\u202eright to left\u200b\u{e0041}\ud800',
  'closes #1, octo/repo#2, GH-3, 0123456789abcdef0123456789abcdef01234567',
  '| a | b |\n|---|---|',
]

describe('the comment of a run', () => {
  test('F11 while its Job finds no room, with the reason and that nobody has to do anything', () => {
    const shown = render(story({ state: 'starting' }, { held: 'the quota of its run namespace is used up' }))
    expect(shown).toContain(
      'It waits for a place to work and starts by itself. Details: `the quota of its run namespace is used up`',
    )
    expect(render(story({ state: 'running' }, { held: 'the quota' }))).not.toContain('the quota')
  })

  test('while it is at work', () => {
    const progress = [
      { kind: 'command', text: 'npm test' },
      { kind: 'edit', text: 'src/money.js' },
    ]
    expect(render(story({}, { progress }))).toMatchInlineSnapshot(`
      "<!-- codex-k8s:run:6f9b1c9e-0000-4000-8000-000000000001 -->

      **\`run:dev\` is at work**

      - command: \`npm test\`
      - edit: \`src/money.js\`

      <sub>for @maria · run \`6f9b1c9e-0000-4000-8000-000000000001\`</sub>
      "
    `)
  })

  test.for(Object.keys(reasons))('%s is said with a sentence and a next step', (reason) => {
    const shown = render(story({ state: 'failed', reason }))
    expect(shown).toContain(reasonOf(reason).says)
    expect(shown).toContain(`**Next:** ${reasonOf(reason).next}`)
    expect(reasonOf(reason).next).toMatch(/\.$|`\.$/)
  })

  test('a reason from a newer version is named and has a next step', () => {
    expect(render(story({ state: 'failed', reason: 'of_tomorrow' }))).toContain('Unknown reason: of_tomorrow.')
  })

  test('where it stands in the queue, and for what it waits', () => {
    const waiting = (queue: Partial<Queue>) =>
      render(story({ state: 'queued' }, { queue: { ahead: 0, active: 2, maxActive: 2, connected: true, ...queue } }))
    expect(waiting({})).toContain(
      '**`run:dev` waits for its turn**: next in line; 2 runs are at work in this repository (at most 2).',
    )
    expect(waiting({ ahead: 3, active: 1, maxActive: 1 })).toContain(
      ': 3 ahead of it; 1 run is at work in this repository (at most 1).',
    )
    expect(waiting({ connected: false })).toContain('next in line; the repository is not connected, so nothing starts.')
  })

  test('that an attempt was lost, how, and which one is at work now', () => {
    const shown = render(story({ detail: 'it was killed by SIGKILL' }, { attempt: 2 }))
    expect(shown).toContain('tried again. Details: `it was killed by SIGKILL`')
    expect(shown).toContain('attempt 2 of 2')
    expect(render(story())).not.toContain('attempt')
  })

  test('J10 what an agent writes is inert: one line, in a code span, nothing hidden', () => {
    const progress = hostile.map((text) => ({ kind: 'command', text }))
    const shown = render(story({ state: 'failed', reason: 'agent_failed', detail: hostile.join(' ') }, { progress }))
    expect(shown).toMatchInlineSnapshot(`
      "<!-- codex-k8s:run:6f9b1c9e-0000-4000-8000-000000000001 -->

      **\`run:dev\` failed**

      The agent ended with an error. Details: \`@everyone and @org/team  code      fence ![x](https://evil.example/track.png) [a](javascript:alert(1)) https://evil.example <img src=x onerror=alert(1)> < !-- codex-k8s:run:1 --> </sub> line  # heading - item x  right to left    closes #1, octo/repo#2, GH-3, 0123456789abcdef0123456789abcdef01234567 | a | b | |---|---|\`

      **Next:** Look at the details, then set the label again.

      - command: \`@everyone and @org/team\`
      - command: \`code      fence\`
      - command: \`![x](https://evil.example/track.png) [a](javascript:alert(1)) https://evil.example\`
      - command: \`<img src=x onerror=alert(1)> < !-- codex-k8s:run:1 --> </sub>\`
      - command: \`line  # heading - item x\`
      - command: \`right to left\`
      - command: \`closes #1, octo/repo#2, GH-3, 0123456789abcdef0123456789abcdef01234567\`
      - command: \`| a | b | |---|---|\`

      <sub>for @maria · run \`6f9b1c9e-0000-4000-8000-000000000001\`</sub>
      "
    `)
  })

  test('J10 whatever the text is, outside of code spans the comment is the same', () => {
    const bare = (text: string) =>
      render(story({ state: 'failed', reason: 'agent_failed', detail: text }, { progress: [{ kind: 'edit', text }] }))
    const outside = (shown: string) => shown.replace(/`[^`\n]*`/g, '``')
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(...hostile),
      fc.string({ unit: fc.constantFrom('`', '\n', '\ud83d', '\ude00', ' ', 'a'), maxLength: 600 }),
    )
    fc.assert(
      fc.property(texts, (text) => {
        const shown = bare(text)
        expect(outside(shown).replace(/``/g, '')).toBe(outside(bare('x')).replace(/``/g, ''))
        expect(shown.isWellFormed()).toBe(true)
        expect(shown.split('<!--')).toHaveLength(2)
        expect(shown.length).toBeLessThan(1_500)
      }),
      { numRuns: 500 },
    )
  })
})

describe('the labels of a subject', () => {
  const change = (columns: Partial<Row<'runs'>>, newer = false) =>
    labelChange({ ...run, ...columns }, 'run:dev', 'state:in-review', newer)

  test.for(['refused', 'succeeded', 'failed', 'cancelled'] as const)(
    'lose the run label when the run is %s',
    (state) => {
      expect(isOver({ ...run, state })).toBe(true)
      expect(change({ state }).remove).toEqual(['run:dev'])
      expect(change({ state }, true).remove).toEqual([])
      expect(change({ state }).add).toEqual(state === 'succeeded' ? ['state:in-review'] : [])
    },
  )

  test.for(['waiting_approval', 'queued', 'starting', 'running', 'publishing'] as const)(
    'stay while the run is %s',
    (state) => {
      expect(change({ state })).toEqual({ remove: [], add: [] })
    },
  )

  test('are not touched where a person took the label off', () => {
    expect(change({ state: 'cancelled', reason: 'label_removed' })).toEqual({ remove: [], add: [] })
  })
})

describe('the comment of a run that somebody has to approve', () => {
  const approval: Row<'approvals'> = {
    id: '6f9b1c9e-0000-4000-8000-000000000003',
    run_id: run.id,
    bundle_digest: '1a2b3c4d5e6f'.padEnd(64, '0'),
    policy: {
      users: [],
      permission: 'write',
      quorum: 2,
      excludeRequester: true,
      label: 'approve:dev',
      expiresAfterSeconds: 3_600,
    },
    state: 'pending',
    version: 1,
    requested_at: at,
    expires_at: new Date('2026-01-02T04:04:05Z'),
    decided_at: null,
    consumed_at: null,
  }
  const decision = (key: string, more: Partial<Row<'decisions'>> = {}): Row<'decisions'> => ({
    key,
    approval_id: approval.id,
    actor_id: '1004',
    actor_login: 'walt',
    decision: 'approve',
    reason: null,
    decided_at: at,
    source: 'comment',
    label: null,
    command: '',
    refusal: null,
    state: 'pending',
    approvals: 1,
    ...more,
  })
  const eve = { actor_id: '1003', actor_login: 'eve', refusal: 'not_eligible' }
  const shown = (decisions: Row<'decisions'>[], more: Partial<Row<'approvals'>> = {}, state = 'waiting_approval') =>
    render(story({ state: state as Row<'runs'>['state'] }, { gate: { approval: { ...approval, ...more }, decisions } }))

  test('says how, who, until when, how many so far, and whose decision did not count', () => {
    expect(shown([decision('1'), decision('2', eve), decision('3', eve)])).toMatchInlineSnapshot(`
      "<!-- codex-k8s:run:6f9b1c9e-0000-4000-8000-000000000001 -->

      **\`run:dev\` waits for an approval**

      **Next:** to let exactly this start, comment \`/approve 1a2b3c4d5e6f\`, or set the label \`approve:dev\`; to refuse it, comment \`/deny\` with a reason. The command has to be the whole comment.

      2 people with write access (not @maria, who asked, and not who wrote the text), until 2026-01-02 04:04 UTC. So far 1 of 2 (@walt).

      - Not counted (2 times): \`eve\` may not decide about this stage. Ask somebody with the access that the stage asks for.

      <sub>for @maria · run \`6f9b1c9e-0000-4000-8000-000000000001\`</sub>
      "
    `)
  })

  test('says who approved, and denied, afterwards', () => {
    const jonas = { actor_id: '1005', actor_login: 'jonas' }
    expect(shown([decision('1'), decision('2', jonas)], { state: 'approved' }, 'queued')).toContain(
      'Approved by @walt, @jonas.',
    )
    const denied = shown([decision('1'), decision('2', { ...jonas, decision: 'deny' })], { state: 'denied' })
    expect(denied).toContain('Denied by @jonas.')
    expect(denied).not.toContain('/approve')
  })

  test('shows three refusals at most, the newest, and keeps silent about what came after the decision', () => {
    const many = Array.from({ length: 9 }, (_, index) =>
      decision(String(index), { ...eve, actor_id: String(index), actor_login: `eve${index}` }),
    )
    const text = shown([...many, decision('late', { ...eve, refusal: 'decided' })])
    expect(text.match(/eve\d/g)).toEqual(['eve6', 'eve7', 'eve8'])
  })

  test.for(hostile)('keeps a login of %j harmless', (actor_login) => {
    const text = shown([decision('1', { ...eve, actor_login })])
    expect(text.split('Not counted')[1]).not.toMatch(/(?<!\()@everyone(?![^`]*`)/)
    expect(text.match(/<!--/g)).toHaveLength(1)
  })
})
