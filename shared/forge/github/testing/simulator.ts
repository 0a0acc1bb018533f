import pino from 'pino'
import { at, forgeFor } from '../../../../deploy/local/forge/testing.ts'
import { createGitHub } from '../client.ts'
import type { GitHub } from '../client.ts'

const log = pino({ level: 'silent' })

/** A forge for one test, with a client as the App and one as a machine user. */
export async function simulator() {
  const forge = await forgeFor()
  const alice = forge.as('alice')
  const { data: repository } = await alice.request('GET /repos/{owner}/{repo}', at)
  const [app] = (await forge.control('GET', '/apps')) as { privateKey: string; bot: { id: number; login: string } }[]
  const { installationId } = await forge.app()
  const repo = {
    fullName: repository.full_name,
    repositoryId: String(repository.id),
    installationId: String(installationId) as string | null,
  }
  const auth = { kind: 'app' as const, appId: '42', privateKey: app?.privateKey ?? '' }
  const github: GitHub = createGitHub({ instance: forge.url, auth, log })
  const machine = createGitHub({ instance: forge.url, auth: { kind: 'token', token: 'token-bob' }, log })
  const { data: main } = await alice.request('GET /repos/{owner}/{repo}/git/ref/{ref}', { ...at, ref: 'heads/main' })
  return {
    forge,
    alice,
    bob: forge.as('bob'),
    at,
    auth,
    github,
    machine,
    repo,
    octokit: github.for(repo),
    bot: { id: String(app?.bot.id), login: app?.bot.login ?? '' },
    main: main.object.sha,
    fault: (method: string, path: string, effect: string, times = 1) => {
      const fault = [
        ['method', method],
        ['path', path],
        ['times', times],
        ['then', effect],
      ] as const
      return forge.control('POST', '/faults', Object.fromEntries<unknown>(fault))
    },
    issue: async (body = 'It adds wrong.') => {
      const { data } = await alice.request('POST /repos/{owner}/{repo}/issues', { ...at, title: 'Wrong sum', body })
      return data
    },
    /** Requests that reached the forge, as `METHOD path`. */
    requests: async (): Promise<string[]> => {
      return (await forge.ledger('request')).map(({ method, path }) => `${String(method)} ${String(path)}`)
    },
  }
}
