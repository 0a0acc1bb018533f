import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { choose, decide, outdated, type Asked, type Question } from './decide.ts'
import { POLICY } from './testing/policy.ts'

const asked = (digest: string, state: Asked['state'] = 'pending', label: string | null = null): Asked => ({
  digest: digest.padEnd(64, '0'),
  state,
  policy: { ...POLICY, label },
})
const [a, b] = [asked('aaaaaaaaaaaa1'), asked('bbbbbbbbbbbb')]
const twin = asked('aaaaaaaaaaaa2')
const over = asked('cccccccccccc', 'approved')

describe('which approval a command is about', () => {
  test.for<[name: string, Parameters<typeof choose>[0], Asked[], ReturnType<typeof choose>]>([
    ['the one with the digest', { digest: 'a'.repeat(12), label: undefined }, [b, a], { about: a }],
    [
      'none of two that begin alike',
      { digest: 'a'.repeat(12), label: undefined },
      [a, twin],
      { about: a, refusal: 'ambiguous' },
    ],
    [
      'the one of two that a longer digest tells apart',
      { digest: `${'a'.repeat(12)}2`, label: undefined },
      [a, twin],
      { about: twin },
    ],
    [
      'one that is over, too late',
      { digest: 'c'.repeat(12), label: undefined },
      [a, over],
      { about: over, refusal: 'decided' },
    ],
    [
      'no digest that anybody was asked for',
      { digest: 'd'.repeat(12), label: undefined },
      [over, a],
      { about: a, refusal: 'wrong_digest' },
    ],
    ['the one that waits, without a digest', { digest: undefined, label: undefined }, [over, a], { about: a }],
    [
      'none of two that wait, without a digest',
      { digest: undefined, label: undefined },
      [b, a],
      { about: b, refusal: 'ambiguous' },
    ],
    ['nothing where nobody was asked', { digest: undefined, label: undefined }, [], undefined],
    ['nothing by a label that no policy maps', { digest: undefined, label: 'approve:dev' }, [over], undefined],
    [
      'no label that the policy does not map',
      { digest: undefined, label: 'approve:dev' },
      [a],
      { about: a, refusal: 'label_not_mapped' },
    ],
  ])('%s', ([, named, approvals, found]) => expect(choose(named, approvals)).toEqual(found))

  test('P-3 a pending one is only ever found by the beginning of its digest', () => {
    const hex = fc.stringMatching(/^[0-9a-f]{12,64}$/)
    fc.assert(
      fc.property(hex, fc.array(hex, { maxLength: 5 }), (digest, digests) => {
        const found = choose(
          { digest, label: undefined },
          digests.map((one) => asked(one)),
        )
        const isRight = found?.about.digest.startsWith(digest) === true
        expect(isRight || found === undefined || found.refusal !== undefined).toBe(true)
      }),
    )
  })
})

const permissions = ['none', 'read', 'triage', 'write', 'maintain', 'admin', 'owner', '']
const ids = ['1', '1001', '1004', '1005', '2001']
const person = fc.record({
  id: fc.constantFrom(...ids),
  now: fc.record({ actorId: fc.constantFrom(...ids), permission: fc.constantFrom(...permissions) }),
})
const question: fc.Arbitrary<Question> = fc.record({
  decision: fc.constantFrom('approve' as const, 'deny' as const),
  policy: fc.record({
    users: fc.subarray(ids),
    permission: fc.constantFrom('write' as const, 'maintain' as const, 'admin' as const),
    quorum: fc.integer({ min: 1, max: 3 }),
    excludeRequester: fc.boolean(),
    excludeAuthor: fc.boolean(),
    expiresAfterSeconds: fc.constant(60),
  }),
  requesterId: fc.constant('1001'),
  authorId: fc.constantFrom(undefined, '1001', '1005'),
  ownActorId: fc.constant('1'),
  actor: fc
    .tuple(person, fc.constantFrom('User', 'Bot', 'Organization'), fc.boolean())
    .map(([who, type, viaApp]) => ({ ...who, type, viaApp })),
  earlier: fc.uniqueArray(person, { selector: ({ id }) => id, maxLength: 4 }),
  shown: fc.boolean(),
  outdated: fc.constantFrom(undefined, 'stale_content' as const),
})

describe('whether a decision counts', () => {
  const has = (
    { id, now }: Question['actor'] | Question['earlier'][number],
    { users, permission }: Question['policy'],
  ) =>
    users.includes(id) ||
    (id === now.actorId &&
      ['write', 'maintain', 'admin'].indexOf(now.permission) >= ['write', 'maintain', 'admin'].indexOf(permission))

  test('P-1 P-2 P-8 whatever is asked: only a person who may, and is neither requester, author nor ourselves', () => {
    fc.assert(
      fc.property(question, (one) => {
        const verdict = decide(one)
        if (verdict.kind === 'refused') return
        const { actor, policy } = one
        expect(actor).toMatchObject({ type: 'User', viaApp: false })
        expect(actor.id).not.toBe('1')
        expect(policy.excludeRequester && actor.id === one.requesterId).toBe(false)
        expect(policy.excludeAuthor !== false && actor.id === one.authorId).toBe(false)
        expect(has(actor, policy)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  test('P-3 P-8 it is approved by as many different people who may now as the policy wants, of what is still so', () => {
    fc.assert(
      fc.property(question, (one) => {
        const verdict = decide(one)
        if (verdict.kind !== 'approved') return
        const voices = [one.actor, ...one.earlier].filter((who) => has(who, one.policy)).map(({ id }) => id)
        expect(new Set(voices).size).toBeGreaterThanOrEqual(one.policy.quorum)
        expect(one).toMatchObject({ decision: 'approve', shown: true, outdated: undefined })
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('what would run is out of date', () => {
  const now = { open: true, locked: false, title: 'a', body: 'b' }
  test.for([
    [now, undefined],
    [undefined, 'subject_gone'],
    [{ ...now, open: false }, 'subject_closed'],
    [{ ...now, locked: true }, 'subject_locked'],
    [{ ...now, title: 'A' }, 'stale_content'],
    [{ ...now, body: 'b ' }, 'stale_content'],
  ] as const)('%j: %s', ([current, reason]) => {
    expect(outdated({ title: 'a', body: 'b', revise: undefined }, current, undefined)).toBe(reason)
  })

  test.for([
    ['a', undefined],
    ['b', 'stale_head'],
    [undefined, 'stale_head'],
  ] as const)('P-3 a run that goes on with a change at a, whose head is %s: %s', ([head, reason]) => {
    expect(outdated({ title: 'a', body: 'b', revise: { pull: 7, head: 'a' } }, now, head)).toBe(reason)
  })
})
