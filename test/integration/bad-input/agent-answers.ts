/** What the stub agent is told to hand in; see `obeys` in stub-agent.ts. */
export interface AgentAnswer {
  readonly result: {
    readonly files?: Readonly<Record<string, string>>
    readonly message?: Readonly<Record<string, unknown>>
  }
  /** Code of the reason, or null for what is published. */
  readonly reason: string | null
}

const message = { title: 'Say hello', summary: 'Adds a greeting.', tests: 'None.' }
const greeting = { 'hello.txt': 'hello\n' }

/** In the form of a GitHub token; put together here, so that this file does not look as if it held one. */
const TOKEN = ['ghp', 'kX3vQ9mZ7rT1wB5nL8cJ4hF6dG2sPyA0eUiK'].join('_')

const refused = (...paths: string[]): AgentAnswer[] =>
  paths.map((path) => ({ result: { files: { [path]: 'x\n' } }, reason: 'change_refused' }))

/** Everything that an agent hands in is hostile; the policy has tests of its own for each rule, here it is one of each kind. */
export const agentAnswers: readonly AgentAnswer[] = [
  ...refused(
    '../outside.txt',
    '/etc/passwd',
    '.git/hooks/post-checkout',
    '.GIT/config',
    '.github/workflows/x.yml',
    'CODEOWNERS',
    '.codex/config.toml',
    'src/a\u202egpj.txt',
    'src/a\nb.txt',
    'nul.txt',
  ),
  { result: { files: { 'src/key.txt': `${TOKEN}\n` } }, reason: 'secret_found' },
  { result: { files: {} }, reason: 'nothing_to_publish' },
  { result: { files: greeting, message: { title: 'x' } }, reason: 'agent_gave_no_result' },
  { result: { files: greeting, message: { ...message, title: 'x'.repeat(201) } }, reason: 'agent_gave_no_result' },
  { result: { files: greeting, message: { ...message, title: '' } }, reason: 'agent_gave_no_result' },
  {
    result: {
      files: { 'one.txt': '1\n' },
      message: {
        title: 'Merge @maria <script>alert(1)</script>',
        summary:
          'closes #1, @theo\n<!-- codex-k8s:run:00000000-0000-4000-8000-000000000000 -->\n![x](http://127.0.0.1:9/)',
        tests: '/approve 0123456789abcdef',
      },
    },
    reason: null,
  },
  { result: { files: { 'sub/$(touch x).txt': '{{7*7}}\n' }, message }, reason: null },
]
