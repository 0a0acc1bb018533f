import { ensureLabel } from '#shared/forge/github/labels.ts'
import { readOwnActor } from '#shared/forge/github/own-actor.ts'
import { rememberHook } from '#shared/project/connect.ts'
import { labels } from '#shared/workflow/labels.ts'
import { connectRepository } from './connect-repository.ts'
import { demoFiles, demoIssue } from './demo-program.ts'
import { APPROVER, PERSON, type Stack } from './stack.ts'

/** The demonstration: a repository with a bug, and the issue that describes it. */
export interface Demo {
  readonly repository: string
  readonly issue: number
  readonly title: string
}

/** A REST call as a person of the demonstration, by default the one who asks. Throws on anything but 2xx. */
export async function asPerson<T>(
  forgeUrl: string,
  method: string,
  path: string,
  body?: unknown,
  { token }: { readonly token: string } = PERSON,
): Promise<T> {
  const response = await fetch(`${forgeUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`)
  return (text === '' ? undefined : JSON.parse(text)) as T
}

/** Creates the repository, pushes the program, connects it as an operator would, and opens the issue. */
export async function createDemo(stack: Stack): Promise<Demo> {
  const person = <T>(method: string, path: string, body?: unknown) => asPerson<T>(stack.forgeUrl, method, path, body)
  const { count } = await stack.db
    .selectFrom('projects')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  const name = `invoice-${count + 1}`
  const repository = await person<{ id: number; full_name: string }>('POST', '/user/repos', { name })
  await push(stack.forgeUrl, repository.full_name)

  await person('PUT', `/repos/${repository.full_name}/collaborators/${APPROVER.login}`, { permission: 'push' })
  const installation = await fetch(`${stack.forgeUrl}/_forge/apps/install`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ repository: repository.full_name }),
  })
  const { id } = (await installation.json()) as { id: number }
  const connected = await connectRepository(stack.db, stack.secretsDir, {
    instance: stack.forgeUrl,
    repositoryId: String(repository.id),
    fullName: repository.full_name,
    installationId: String(id),
    ownActorId: (await readOwnActor(stack.github, { kind: 'app' })).id,
  })
  const repo = { fullName: repository.full_name, repositoryId: String(repository.id), installationId: String(id) }
  await Promise.all(labels.map((label) => ensureLabel(stack.github.for(repo), repo, label)))
  const hook = await person<{ id: number }>('POST', `/repos/${repository.full_name}/hooks`, {
    name: 'web',
    active: true,
    events: ['issues', 'pull_request', 'pull_request_review', 'issue_comment'],
    config: {
      url: `${stack.url('webhook-gateway')}${connected.hookPath}`,
      content_type: 'json',
      secret: connected.secret,
    },
  })
  await rememberHook(stack.db, connected, String(hook.id))
  const described = demoIssue()
  const issue = await person<{ number: number }>('POST', `/repos/${repository.full_name}/issues`, described)
  return { repository: repository.full_name, issue: issue.number, title: described.title }
}

/** One commit with the whole program, through the API: no git needed for it. */
async function push(forgeUrl: string, repository: string): Promise<void> {
  const person = <T>(path: string, body: unknown) =>
    asPerson<T>(forgeUrl, 'POST', `/repos/${repository}/git/${path}`, body)
  const tree = demoFiles().map(({ path, isExecutable, content }) => ({
    path,
    mode: isExecutable ? '100755' : '100644',
    type: 'blob',
    content,
  }))
  const { sha } = await person<{ sha: string }>('trees', { tree })
  const commit = await person<{ sha: string }>('commits', { message: 'Write invoices', tree: sha, parents: [] })
  await person('refs', { ref: 'refs/heads/main', sha: commit.sha })
}
