import type { Forge } from './forge.ts'
import { isObject } from './reply.ts'
import { appJson, seconds } from './shapes.ts'

type World = Pick<Forge, 'url' | 'apps' | 'signed'>

const VERIFIED = {
  verified: true,
  reason: 'valid',
  signature: '-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n',
  payload: '',
  verified_at: null,
}

/** The emulator's JSON with what GitHub says differently: whole seconds, Apps behind bots, commits signed by GitHub. */
export function correct(forge: World, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => correct(forge, item))
  if (!isObject(value)) return value
  const corrected = Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      typeof item === 'string' && (key.endsWith('_at') || key === 'date') ? seconds(item) : correct(forge, item),
    ]),
  )
  if ('full_name' in value && 'has_issues' in value) {
    Object.assign(corrected, { web_commit_signoff_required: false, custom_properties: {} })
  }
  if ('head' in value && '_links' in value) corrected['active_lock_reason'] ??= null
  const user = value['user']
  if ('performed_via_github_app' in value && isObject(user)) {
    const app = forge.apps.find(({ bot }) => bot.id === user['id'])
    corrected['performed_via_github_app'] = app ? appJson(forge, app) : null
  }
  if (typeof value['sha'] === 'string' && forge.signed.has(value['sha'])) {
    if ('verification' in value) corrected['verification'] = VERIFIED
    const commit = corrected['commit']
    if (isObject(commit) && 'verification' in commit) commit['verification'] = VERIFIED
  }
  return corrected
}
