import type { KubeConfig } from '@kubernetes/client-node'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from './failure.ts'
import { httpFetch } from './http-fetch.ts'
import { bearerToken, loadKubeconfig } from './kubeconfig.ts'
import { Refused, staffApi, type StaffApi } from './staff-api.ts'
import { routeThroughCluster, type Route } from './staff-api-route.ts'
import type { Terminal } from './terminal.ts'

/** Options that every command takes. */
export interface GlobalOptions {
  readonly namespace: string
  readonly kubeconfig?: string
  readonly context?: string
  readonly server?: string
  readonly asServiceAccount?: string
  readonly logHttp?: boolean
}

/** What a command works with: made when it is asked for, so that `version` needs no cluster. */
export interface Session {
  readonly terminal: Terminal
  /** Where codex-k8s is installed. */
  readonly namespace: string
  cluster(): KubeConfig
  staff(): Promise<StaffApi>
}

/** Tries of a request that is answered "later", and the longest wait between two, seconds. The contract lets all be repeated. */
const TRIES = 4
const LONGEST_WAIT = 5

/** Opens what the options say. */
export function session(options: GlobalOptions, terminal: Terminal): Session {
  let cluster: KubeConfig | undefined
  let staff: Promise<StaffApi> | undefined
  const self: Session = {
    terminal,
    namespace: options.namespace,
    cluster: () => (cluster ??= loadKubeconfig(options)),
    staff: () => (staff ??= open()),
  }
  return self

  async function open(): Promise<StaffApi> {
    const token = await bearerToken(self.cluster(), options.namespace, options.asServiceAccount)
    terminal.hide(token)
    const route =
      options.server === undefined
        ? await routeThroughCluster(self.cluster(), options.namespace)
        : routeByNetwork(options.server)
    const log = options.logHttp === true ? (line: string) => terminal.note(line) : () => {}
    return patient(staffApi(route.url, token, httpFetch(route, log)))
  }
}

/** An address that the person gives. A token goes there, so it has to be private on the way. */
function routeByNetwork(server: string): Route {
  if (!URL.canParse(server)) throw new Failure(`--server ${server} is no URL`)
  const url = new URL(server)
  const here = /^(localhost|127(\.\d+){3}|\[::1\]|[^.]+\.[^.]+\.svc(\.cluster\.local)?)$/.test(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && here))
    throw new Failure(
      `--server ${url.origin} is not private, and your token would go there`,
      'Use https, or http to this machine or a Service of the cluster that you are in.',
    )
  return { url }
}

/** Asks again when the answer is "later", for a moment: a database that starts, a revision that changes. */
function patient(staff: StaffApi): StaffApi {
  return async (id, asked) => {
    for (let tried = 1; ; tried += 1) {
      try {
        return await staff(id, asked)
      } catch (error) {
        const later =
          error instanceof Refused && [502, 503, 504].includes(error.status) && error.code !== 'secret_not_visible'
        if (!later || tried === TRIES) throw error
        await sleep(Math.min(error.retryAfter ?? 1, LONGEST_WAIT) * 1_000)
      }
    }
  }
}
