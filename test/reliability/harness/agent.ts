// The agent of the harness: it takes its time, so that there is something to kill, and outlasts whatever is away meanwhile.
process.env['CHANGE'] = JSON.stringify({ files: { 'hello.txt': 'hello\n' }, works: 1_000, patient: true })
await import('../../support/stub-agent.ts')

export {}
