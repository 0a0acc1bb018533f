import { describe, expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { contractServer, problemOf, type Says } from './testing/contract-server.ts'
import { details, EVENT, LONG_AGO, PROJECT, project, run, RUN } from './testing/examples.ts'
import { knCodex, TOKEN, type Ended } from './testing/kn-codex.ts'

// The built tool as a process, against a server that keeps the contract on both sides.

const tool = knCodex()

/** Runs a command against a server that says this. */
async function codex(says: Says, ...args: string[]): Promise<Ended & { readonly seen: readonly object[] }> {
  const server = await contractServer(says)
  const ended = await tool([...args, '--server', server.url])
  return {
    ...ended,
    seen: server.seen.map(({ id, path, query, body }) => ({ id, ...path, ...query, ...(body as object) })),
  }
}

/** Ages change; nothing else does. */
const ageless = (text: string) => text.replaceAll(/\b\d{4,5}d\b/g, 'AGE  ')

describe('runs', () => {
  test('list shows a table as kubectl prints them', async () => {
    const { code, out, err } = await codex({ listRuns: () => ({ runs: [run], next: null }) }, 'runs', 'list')
    expect(err).toBe('')
    expect(ageless(out)).toBe(
      'ID                                     REPOSITORY        ISSUE   STAGE   STATE    REASON       AGE\n' +
        `${RUN}   maria/invoice-1   7       dev     failed   agent_lost   AGE  \n`,
    )
    expect(code).toBe(0)
  })

  test('list asks for what the options say, the project by the name of its repository', async () => {
    const { seen, out } = await codex(
      { listRuns: () => ({ runs: [], next: null }), listProjects: () => ({ projects: [project], next: null }) },
      'runs',
      'list',
      '--project',
      'maria/invoice-1',
      '--state',
      'failed',
      '--stage',
      'dev',
      '--issue',
      '7',
      '--limit',
      '9',
    )
    expect(out).toBe('No runs found.\n')
    expect(seen).toEqual([
      { id: 'listProjects', repository: 'maria/invoice-1' },
      { id: 'listRuns', project: PROJECT, state: 'failed', stage: 'dev', number: '7', limit: '9' },
    ])
  })

  test('list follows the cursor as far as is wanted, and says when there is more', async () => {
    const says: Says = {
      listRuns: ({ query }) => ({ runs: Array<typeof run>(Number(query['limit'])).fill(run), next: 'more' }),
    }
    const some = await codex(says, 'runs', 'list', '--limit', '250', '--no-headers')
    expect(some.seen).toEqual([
      { id: 'listRuns', limit: '200' },
      { id: 'listRuns', limit: '50', cursor: 'more' },
    ])
    expect(some.out.split('\n')).toHaveLength(251)
    expect(some.err).toBe('There are more: --limit 500, or --limit 0 for all.\n')
  })

  test('list gives every form that kubectl gives', async () => {
    const says: Says = { listRuns: () => ({ runs: [run], next: null }) }
    const forms = ['json', 'yaml', 'name', 'wide', 'jsonpath={.items[*].state}']
    const [json, yaml, name, wide, path] = await Promise.all(
      forms.map((form) => codex(says, 'runs', 'list', '-o', form)),
    )
    expect(JSON.parse(json?.out ?? '')).toEqual({ items: [run] })
    expect(yaml?.out).toContain('  - id: ' + RUN)
    expect(name?.out).toBe(`run/${RUN}\n`)
    expect(wide?.out.split('\n')[0]).toMatch(/AGE +LABEL +REQUESTER +PULL REQUEST +RETRY OF$/)
    expect(path?.out).toBe('failed\n')
  })

  test('describe shows attempts, approval and events', async () => {
    const { out } = await codex({ getRun: () => details }, 'runs', 'describe', RUN)
    expect(ageless(out)).toBe(`Run:         ${RUN}
Repository:  maria/invoice-1
Issue:       7
Stage:       dev
Label:       run:dev
Requester:   maria (42)
State:       failed
Reason:      agent_lost: The agent was lost twice.
Next:        Set the label again.
Age:         AGE  
Branch:      agent/7-9d3479fa85
Tokens:      15780 of 4000000
Input:       ${'b'.repeat(64)}

Approval:  approved
Needs:     1
Of:        ${'b'.repeat(64)}
Expires:   ${LONG_AGO}

DECISION   BY          THROUGH   COUNTS   AGE     REASON
approve    paul (43)   comment   yes      AGE     <none>

ATTEMPT   STATE   REASON   JOB        LAST SEEN   AGE
1         lost    <none>   run-4f1c   <none>      AGE  

AGE     EVENT                       FROM               DONE   PENDING   QUARANTINED
AGE     dev.codex-k8s.run.lost.v1   stage-dispatcher   2      0         1
`)
  })

  test('logs follow until the run is over, and nothing in them reaches the terminal as an order', async () => {
    const parts = [
      { lines: [line(1, 'started')], next: 'a', over: false },
      { lines: [], next: 'a', over: false },
      { lines: [line(2, 'red \u001b[31m and\nbelow')], next: 'b', over: true },
      { lines: [], next: 'b', over: true },
    ]
    let at = 0
    const { out, code, seen } = await codex({ getRunLogs: () => parts[at++]! }, 'runs', 'logs', '-f', RUN)
    expect(out).toBe('message: started\nmessage: red \\u001b[31m and\n  below\n')
    expect(seen.map((one) => (one as { cursor?: string }).cursor)).toEqual([undefined, 'a', 'a', 'b'])
    expect(code).toBe(0)
  })

  test('cancel says so once the agent has stopped', async () => {
    const states = ['created', 'stopped'] as const
    let at = 0
    const { out, seen } = await codex(
      {
        cancelRun: () => ({ run: { ...run, state: 'cancelled' }, changed: true }),
        getRun: () => ({ ...details, attempts: details.attempts.map((one) => ({ ...one, state: states[at++]! })) }),
      },
      'runs',
      'cancel',
      RUN,
      '--reason',
      'too expensive',
    )
    expect(out).toBe(`Run '${RUN}' cancelled.\nIts agent has stopped.\n`)
    expect(seen[0]).toEqual({ id: 'cancelRun', run: RUN, reason: 'too expensive' })
    expect(seen).toHaveLength(3)
  })

  test('retry without waiting asks once', async () => {
    const says: Says = { retryRun: () => ({ run: { ...run, state: 'queued' }, changed: false }) }
    const { out, seen } = await codex(says, 'runs', 'retry', RUN, '--no-wait')
    expect(out).toBe(`Run '${RUN}' was made for '${RUN}' before.\n`)
    expect(seen).toHaveLength(1)
  })

  test('retry that waits too long says that it goes on', async () => {
    const says: Says = {
      retryRun: () => ({ run: { ...run, state: 'queued' }, changed: true }),
      getRun: () => ({ ...details, run: { ...run, state: 'queued' } }),
    }
    const { code, err } = await codex(says, 'runs', 'retry', RUN, '--wait-timeout', '0s')
    expect(code).toBe(1)
    expect(err).toContain(`Error: timeout after 0 seconds: run '${RUN}' has not started\nIt goes on without you.`)
  })
})

describe('dead letters', () => {
  const letter = (digit: string) => ({
    event: EVENT.slice(0, -1) + digit,
    consumer: 'label-router' as const,
    type: 'com.github.issues.labeled',
    subject: '1001#7',
    project: PROJECT,
    outcome: 'no such project',
    attempts: 3,
    quarantinedAt: LONG_AGO,
  })

  test('all of a consumer are put back in parts', async () => {
    const letters = Array.from({ length: 130 }, () => letter('1'))
    const { out, code, seen } = await codex(
      {
        listDeadLetters: () => ({ deadLetters: letters, next: null }),
        redriveDeadLetters: ({ body }) => ({ redriven: (body as { deliveries: [] }).deliveries, left: [] }),
      },
      'deadletters',
      'redrive',
      '--all',
      '--consumer',
      'label-router',
    )
    expect(code).toBe(0)
    expect(out.split('\n')).toHaveLength(131)
    expect(seen[0]).toEqual({ id: 'listDeadLetters', consumer: 'label-router', limit: '200' })
    expect(seen.slice(1).map((one) => (one as { deliveries: [] }).deliveries.length)).toEqual([100, 30])
  })

  test('what is not put back is said and is a failure', async () => {
    const { out, err, code } = await codex(
      {
        listDeadLetters: () => ({ deadLetters: [letter('1'), letter('3')], next: null }),
        redriveDeadLetters: () => ({ redriven: [], left: [{ event: letter('1').event, consumer: 'label-router' }] }),
      },
      'deadletters',
      'redrive',
      letter('1').event,
    )
    expect(out).toBe(`${letter('1').event} at label-router: not quarantined (any more), or not yours to redrive\n`)
    expect(err).toBe('Error: 1 of 1 deliveries were not put back\n')
    expect(code).toBe(1)
  })

  test('neither ids nor --all is a mistake, and so are both', async () => {
    for (const args of [[], [EVENT, '--all']]) {
      const { err, code } = await tool(['deadletters', 'redrive', ...args])
      expect(err).toBe("Error: give ids of events, or --all\nRun 'kn codex deadletters redrive --help' for usage\n")
      expect(code).toBe(1)
    }
  })
})

describe('events, labels, ledger, grants', () => {
  test('an event is shown with what became of it', async () => {
    const { out } = await codex(
      {
        getEvent: () => ({
          event: details.events[0]!,
          source: '/stage-dispatcher',
          eventId: 'e-1',
          extensions: { project: PROJECT },
          data: { run: RUN, text: '\u001b]52;c;x\u0007' },
          deliveries: [
            {
              consumer: 'status-reporter',
              state: 'quarantined',
              attempts: 3,
              dueAt: LONG_AGO,
              outcome: 'the forge says 403',
              error: null,
              settledAt: LONG_AGO,
            },
          ],
          ledger: { seq: 12, hash: 'd'.repeat(64) },
        }),
      },
      'events',
      'show',
      EVENT,
    )
    expect(out).toContain(`Ledger:             12:${'d'.repeat(64)}\n`)
    expect(out).toContain('\\u001b]52;c;x\\u0007')
    expect(out).toMatch(/status-reporter +quarantined +3 +\d+d +the forge says 403\n$/)
  })

  test('labels are synchronised', async () => {
    const says: Says = {
      listProjects: () => ({ projects: [project], next: null }),
      syncLabels: () => ({ created: ['run:dev'], repaired: ['state:blocked'], unchanged: 50 }),
    }
    const { out } = await codex(says, 'labels', 'sync', 'maria/invoice-1')
    expect(out).toBe(
      'created run:dev\nrepaired state:blocked\nmaria/invoice-1: 1 created, 1 repaired, 50 as they were.\n',
    )
  })

  test('the ledger is verified part by part from the head that was written down', async () => {
    const head = (seq: number) => `${seq}:${'e'.repeat(64)}`
    const { out, seen } = await codex(
      {
        verifyLedger: ({ query }) =>
          query['after'] === head(1)
            ? { ok: true, head: head(20_001), more: true, problem: null }
            : { ok: true, head: head(30_000), more: false, problem: null },
      },
      'ledger',
      'verify',
      '--after',
      head(1),
    )
    expect(out).toBe(`The ledger holds; its head is\n${head(30_000)}\n`)
    expect(seen).toHaveLength(2)
  })

  test('a ledger that does not hold is a failure that says where', async () => {
    const broken = {
      ok: false,
      head: `3:${'e'.repeat(64)}`,
      more: false,
      problem: { seq: 4, says: 'has another hash' },
    }
    const { err, code } = await codex({ verifyLedger: () => broken }, 'ledger', 'verify')
    expect(err).toMatch(/^Error: the ledger does not hold: entry 4 has another hash\nChange nothing\./)
    expect(code).toBe(1)
  })

  test('a role is given to a group on a project', async () => {
    const grant = {
      id: EVENT,
      kind: 'group' as const,
      name: 'sre',
      role: 'operator' as const,
      project: PROJECT,
      grantedBy: 'ada',
      grantedAt: LONG_AGO,
    }
    const { out, seen } = await codex(
      { addGrant: () => ({ grant, changed: true }) },
      'grants',
      'add',
      'operator',
      'sre',
      '--group',
      '--project',
      PROJECT,
    )
    expect(out).toBe(`Grant '${EVENT}' made: group sre is operator.\n`)
    expect(seen).toEqual([{ id: 'addGrant', kind: 'group', name: 'sre', role: 'operator', project: PROJECT }])
  })
})

describe('a mistake', () => {
  test.for([
    [
      [],
      "no sub-command given for 'kn codex'. Available sub-commands: runs, events, deadletters, project, labels, ledger, grants, doctor, whoami, version",
      'kn codex',
    ],
    [
      ['runs'],
      "no sub-command given for 'kn codex runs'. Available sub-commands: list, describe, logs, cancel, retry",
      'kn codex runs',
    ],
    [
      ['runs', 'stop'],
      "unknown sub-command 'stop' for 'kn codex runs'. Available sub-commands: list, describe, logs, cancel, retry",
      'kn codex runs',
    ],
    [['runs', 'list', '--colour'], "unknown option '--colour'", 'kn codex runs list'],
    [['runs', 'describe'], "missing required argument 'run'", 'kn codex runs describe'],
    [
      ['runs', 'list', '--limit', 'all'],
      "option '--limit <number>' argument 'all' is invalid. It has to be a whole number.",
      'kn codex runs list',
    ],
    [
      ['runs', 'list', '-o', 'xml'],
      `option '-o, --output <format>' argument 'xml' is invalid. unable to match a printer suitable for the output format "xml", allowed formats are: wide,json,yaml,name,jsonpath=...`,
      'kn codex runs list',
    ],
  ] as const)('in the words of a command says what would be right (%#)', async ([args, says, command]) => {
    expect(await tool(args)).toEqual({ code: 1, out: '', err: `Error: ${says}\nRun '${command} --help' for usage\n` })
  })

  test.for([
    [['runs', 'describe', '../../v1/grants'], 'run: "../../v1/grants" is not valid\nIt has to be an id'],
    [['runs', 'list', '--state', 'lost'], 'state: "lost" is not valid\nExpected ("refused" | "waiting_approval"'],
    [['runs', 'cancel', RUN, '--reason', 'x'.repeat(301)], `reason: "${'x'.repeat(301)}" is not valid\nExpected <=300`],
  ] as const)('in what is asked for is not sent (%#)', async ([args, says]) => {
    const { err, code, seen } = await codex({}, ...args)
    expect(err).toContain(`Error: ${says}`)
    expect(code).toBe(1)
    expect(seen).toEqual([])
  })

  test('of rights is said with what to do next', async () => {
    const { err, code } = await codex(
      {
        cancelRun: () =>
          problemOf(403, 'forbidden', 'You may not cancel runs of this project', 'Ask an admin for the role operator.'),
      },
      'runs',
      'cancel',
      RUN,
    )
    expect(err).toBe('Error: You may not cancel runs of this project\nAsk an admin for the role operator.\n')
    expect(code).toBe(1)
  })
})

describe('a server', () => {
  test('that says later is asked again', async () => {
    let times = 0
    const { out, code } = await codex(
      {
        listRuns: () =>
          (times += 1) < 3
            ? problemOf(503, 'retry_later', 'The database is away', undefined, { 'retry-after': '0' })
            : { runs: [], next: null },
      },
      'runs',
      'list',
    )
    expect({ out, code, times }).toEqual({ out: 'No runs found.\n', code: 0, times: 3 })
  })

  test('that is none of ours is not believed', async () => {
    const page = () => new Response('<html>\u001b[2J', { headers: { 'content-type': 'text/html' } })
    const { err, code } = await codex({ listRuns: page }, 'runs', 'list')
    expect(err).toMatch(/^Error: the answer of staff-api cannot be read: .*\nIs the address that of codex-k8s/)
    expect(err).not.toContain('\u001b')
    expect(code).toBe(1)
    const other = await codex({ listRuns: () => Response.json({ hello: 1 }) }, 'runs', 'list')
    expect(other.err).toMatch(/^Error: the answer is not one that this version understands/)
    expect(other.code).toBe(1)
  })

  test('that redirects gets nothing more: the token is for one address', async () => {
    const other = await contractServer({ listRuns: () => ({ runs: [], next: null }) })
    const away = () => new Response(null, { status: 307, headers: { location: `${other.url}/v1/runs` } })
    const { code } = await codex({ listRuns: away }, 'runs', 'list')
    expect(code).toBe(1)
    expect(other.seen).toEqual([])
  })

  test('cannot make the tool print the token, whatever it says and however much is logged', async () => {
    const says: Says = {
      listRuns: ({ authorization }) =>
        problemOf(409, 'x', `You sent ${authorization}`, `Again: ${authorization}`, { 'x-echo': authorization }),
      whoami: ({ authorization }) => ({ user: authorization, groups: [], roles: [] }),
    }
    const refused = await codex(says, 'runs', 'list', '--log-http')
    const echoed = await codex(says, 'whoami', '-o', 'json', '--log-http')
    for (const { out, err } of [refused, echoed]) {
      expect(out + err).not.toContain(TOKEN)
      expect(out + err).toContain('<redacted>')
    }
    expect(refused.err).toMatch(
      /^GET http:\/\/127\.0\.0\.1:\d+\/v1\/runs\?limit=50\n> accept: application\/json\n> authorization: <redacted>\n< 409 in \d+ ms\n/,
    )
  })

  test('is not sent a token that others on the way could read', async () => {
    const { err, code } = await tool(['runs', 'list', '--server', 'http://staff.example.com'])
    expect(err).toMatch(/^Error: --server http:\/\/staff\.example\.com is not private/)
    expect(code).toBe(1)
  })
})

test('version and manifest ask nobody', async () => {
  const version = await tool(['version', '-o', 'json'], '/nowhere/kubeconfig')
  expect(JSON.parse(version.out)).toEqual({ version: packageJson.version, api: 'v1', node: process.version })
  expect(await tool(['manifest'], '/nowhere/kubeconfig')).toEqual({ code: 0, out: '{"hasManifest":true}\n', err: '' })
})

test('help of every command goes to stdout and ends with 0', async () => {
  for (const args of [['--help'], ['runs', '--help'], ['runs', 'list', '-h'], ['project', 'add', '--help']]) {
    const { code, out, err } = await tool(args)
    expect(out).toMatch(/^Usage: kn codex/)
    expect({ code, err }).toEqual({ code: 0, err: '' })
  }
})

function line(sequence: number, text: string) {
  return { attempt: 1, sequence, kind: 'message', text, at: LONG_AGO }
}
