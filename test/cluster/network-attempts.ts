import { kubectl, list } from './kubectl.ts'

/** Something to try from a pod: a connection, a datagram that is answered, a name, a request. */
export interface Attempt {
  readonly name: string
  readonly kind: 'tcp' | 'udp' | 'name' | 'http'
  readonly host?: string
  readonly port?: number
  readonly url?: string
}

/** What came of each attempt: `open`, the status of an answer, the code of an error, or `nothing` in time. */
export type Said = Readonly<Record<string, string>>

/** The program of whoever is there to be reached: it answers every request. */
export const serving = `
  import { createServer } from 'node:http'
  createServer((_, response) => response.end('here')).listen(Number(process.env.PORT ?? 8080))
  process.on('SIGTERM', () => process.exit(0))`

/** A program that makes all attempts at once and prints what came of them. */
export const tryAll = (attempts: readonly Attempt[]) => `
  import { createSocket } from 'node:dgram'
  import { lookup } from 'node:dns'
  import { request } from 'node:http'
  import { connect } from 'node:net'
  const kinds = {
    tcp: ({ host, port }, say) => connect({ host, port }, () => say('open')).on('error', ({ code }) => say(code)),
    udp: ({ host, port }, say) =>
      createSocket('udp4').on('message', () => say('open')).on('error', ({ code }) => say(code)).send('codex', port, host),
    name: ({ host }, say) => lookup(host, (error) => say(error ? error.code : 'open')),
    http: ({ url }, say) =>
      request(url, ({ statusCode }) => say(String(statusCode))).on('error', ({ code }) => say(code)).end(),
  }
  const made = ${JSON.stringify(attempts)}.map((each) => new Promise((resolve) => {
    const say = (said) => resolve([each.name, said])
    // A request may have to wait for a cold start.
    setTimeout(say, each.kind === 'http' ? 10_000 : 4_000, 'nothing')
    kinds[each.kind](each, say)
  }))
  console.log(JSON.stringify(Object.fromEntries(await Promise.all(made))))
  process.exit(0)`

/** Everything that an agent might like to reach. */
export async function everywhere(at: {
  readonly platform: string
  readonly runs: string
  readonly host: string
  readonly tcpPort: number
  readonly udpPort: number
}): Promise<Attempt[]> {
  const node = (await list('nodes')).flatMap(({ status }) => status?.addresses ?? [])[0]?.address ?? ''
  const tcp = (name: string, host: string, port: number): Attempt => ({ name, kind: 'tcp', host, port })
  const address = async (what: string, namespace: string, path: string) =>
    (await kubectl(['get', what, '--namespace', namespace, '--output', `jsonpath={${path}}`])).trim()
  const service = (namespace: string, name: string) => address(`service/${name}`, namespace, '.spec.clusterIP')
  const pod = (namespace: string) => address('pod/neighbour', namespace, '.status.podIP')
  const http = (name: string, host: string): Attempt => ({ name, kind: 'http', url: `http://${host}/v1` })
  const named = (name: string) => `${name}.${at.platform}.svc.cluster.local`
  const door = await service(at.platform, 'run-door')
  return [
    http('run-gateway', named('run-gateway')),
    http('model-gateway', named('model-gateway')),
    http('another function', named('label-router')),
    { name: 'the name of a gateway', kind: 'name', host: named('run-gateway') },
    http('the door to run-gateway', door),
    http('the door to model-gateway', `${door}:81`),
    tcp('the API server', await service('default', 'kubernetes'), 443),
    tcp('the API server at its node', node, 6443),
    tcp('a kubelet', node, 10250),
    tcp('etcd', node, 2379),
    tcp('SSH of a node', node, 22),
    tcp('TCP elsewhere', at.host, at.tcpPort),
    { name: 'UDP elsewhere', kind: 'udp', host: at.host, port: at.udpPort },
    tcp('the broker', await service('knative-eventing', 'broker-ingress'), 80),
    tcp('the filter of the broker', await service('knative-eventing', 'broker-filter'), 80),
    tcp('the webhook of Knative', await service('knative-serving', 'webhook'), 443),
    tcp('the activator', await service('knative-serving', 'activator-service'), 80),
    tcp('the autoscaler', await service('knative-serving', 'autoscaler'), 8080),
    tcp('a pod of the platform', await pod(at.platform), 8080),
    tcp('a pod of a run', await pod(at.runs), 8080),
    tcp('the metadata service', '169.254.169.254', 80),
    tcp('the metadata service by IPv6', 'fd00:ec2::254', 80),
    tcp('the metadata service, mapped', '::ffff:169.254.169.254', 80),
    tcp('the internet', '1.1.1.1', 443),
    { name: 'a resolver elsewhere', kind: 'udp', host: '8.8.8.8', port: 53 },
  ]
}

/** A pod with a program, under the restrictions of a run namespace. */
export function podOf(namespace: string, name: string, image: string, program: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          name: 'main',
          image,
          command: ['node', '--input-type=module', '--eval', program],
          resources: { requests: { cpu: '5m', memory: '32Mi', 'ephemeral-storage': '1Mi' } },
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
    },
  }
}
