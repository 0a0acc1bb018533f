import type { GitHub } from './client.ts'

/** The account that our comments, labels and commits come from: the App's bot user, or the machine user. */
export interface OwnActor {
  readonly id: string
  readonly login: string
}

/** Ask GitHub who we are. It never changes: ask once per process. RetryLater where GitHub gave no answer. */
export async function readOwnActor(github: GitHub, auth: { readonly kind: 'app' | 'token' }): Promise<OwnActor> {
  const octokit = github.self()
  if (auth.kind === 'token') {
    const { data } = await octokit.request('GET /user')
    return { id: String(data.id), login: data.login }
  }
  const { data: app } = await octokit.request('GET /app')
  const { data: bot } = await octokit.request('GET /users/{username}', { username: `${app?.slug ?? ''}[bot]` })
  return { id: String(bot.id), login: bot.login }
}
