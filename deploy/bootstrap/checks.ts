import type { Config } from './config.ts'
import type { Facts } from './facts.ts'
import type { ForeignNamespace } from './installation.ts'
import { RUNS_OF_LABEL } from './render.ts'

/** What a check found. `mend`: what to do about it. */
export interface Finding {
  readonly level: 'ok' | 'told' | 'fails'
  readonly what: string
  readonly mend?: string
}

/** The oldest that the manifests are made for, and what they are tested with. */
export const WANTED = {
  kubernetes: { oldest: '1.31', tested: '1.34' },
  knative: { oldest: '1.17', tested: '1.23' },
} as const

const release = (repository: string, files: readonly string[]) =>
  files
    .map(
      (file) =>
        `kubectl apply -f https://github.com/knative/${repository}/releases/download/knative-v${WANTED.knative.tested}.0/${file}`,
    )
    .join('; ')

/** Everything at once, so that one round of mending is enough. */
export function judge(facts: Facts, config: Config): Finding[] {
  return [
    version('kubectl', facts.kubectl, WANTED.kubernetes, 'install a newer kubectl'),
    version('Kubernetes', facts.server, WANTED.kubernetes, 'use a newer cluster'),
    facts.serving === undefined
      ? fails(
          'Knative Serving is not installed',
          `${release('serving', ['serving-crds.yaml', 'serving-core.yaml'])}; then an ingress, for example ${release('net-kourier', ['kourier.yaml'])}`,
        )
      : version('Knative Serving', facts.serving, WANTED.knative, 'upgrade it, one minor version after the other'),
    facts.eventing === undefined
      ? fails(
          'Knative Eventing is not installed',
          release('eventing', [
            'eventing-crds.yaml',
            'eventing-core.yaml',
            'in-memory-channel.yaml',
            'mt-channel-broker.yaml',
          ]),
        )
      : version('Knative Eventing', facts.eventing, WANTED.knative, 'upgrade it, one minor version after the other'),
    ...(facts.serving === undefined ? [] : [ingress(facts)]),
    ...(facts.eventing === undefined ? [] : broker(facts, config)),
    rights(facts),
    images(facts),
    ...facts.foreignNamespaces.flatMap((each) => [foreignNamespace(each), ...whoseRuns(each, config)]),
    ...(config.database.trial === undefined ? [] : [storage(facts, config.database.trial.storageClass)]),
    config.publicUrl === undefined
      ? told(
          'publicUrl is not set: the forge has to reach the URL that Knative gives webhook-gateway',
          'set publicUrl if another address leads there',
        )
      : ok(`forge delivers to ${config.publicUrl}`),
    told(
      'whether the network enforces NetworkPolicies cannot be asked',
      'without that (plain flannel, for one) agents reach whatever the node reaches: docs/run-namespaces.md has a test',
    ),
  ]
}

const ok = (what: string): Finding => ({ level: 'ok', what })
const told = (what: string, mend: string): Finding => ({ level: 'told', what, mend })
const fails = (what: string, mend: string): Finding => ({ level: 'fails', what, mend })

function version(
  what: string,
  is: string,
  { oldest, tested }: { oldest: string; tested: string },
  mend: string,
): Finding {
  const minor = minorOf(is)
  if (minor === undefined) return told(`${what} ${is}: its version is not known`, `tested with ${tested}`)
  if (minor < (minorOf(oldest) ?? 0)) return fails(`${what} ${is} is older than ${oldest}`, mend)
  if (minor < (minorOf(tested) ?? 0) && what !== 'kubectl') return told(`${what} ${is}`, `tested with ${tested} only`)
  return ok(`${what} ${is}`)
}

/** The minor version of `v1.34.2` or `1.23.0`; all that is looked at has the major version 1. */
function minorOf(text: string): number | undefined {
  const [, minor] = /^v?1\.(\d+)/.exec(text) ?? []
  return minor === undefined ? undefined : Number(minor)
}

function ingress({ ingressClass }: Facts): Finding {
  if (ingressClass !== undefined) return ok(`ingress ${ingressClass}`)
  return told(
    "Knative's ingress class is not set: it is then Istio",
    'kubectl get configmap config-network -n knative-serving -o yaml',
  )
}

function broker({ hasBrokerClass, liveBrokerClass }: Facts, { broker: { class: wanted } }: Config): Finding[] {
  const mends = {
    MTChannelBasedBroker: release('eventing', ['in-memory-channel.yaml', 'mt-channel-broker.yaml']),
    RabbitMQBroker: release('eventing-rabbitmq', ['rabbitmq-broker.yaml']),
    Kafka: release('eventing-kafka-broker', ['eventing-kafka-controller.yaml', 'eventing-kafka-broker.yaml']),
  }
  const isOther = liveBrokerClass !== undefined && liveBrokerClass !== wanted
  return [
    hasBrokerClass ? ok(`broker class ${wanted}`) : fails(`the broker class ${wanted} is not installed`, mends[wanted]),
    ...(isOther
      ? [
          fails(
            `the broker is of class ${liveBrokerClass}, and a class cannot be changed`,
            'uninstall and install: what was accepted is in the database and stays',
          ),
        ]
      : []),
    ...(wanted === 'MTChannelBasedBroker' && hasBrokerClass
      ? [
          told(
            'the in-memory channel forgets what it holds when its pod dies',
            'the sweep brings it back within minutes; for work, use RabbitMQ or Kafka: docs/brokers.md',
          ),
        ]
      : []),
  ]
}

function rights({ denied }: Facts): Finding {
  if (denied.length === 0) return ok('rights')
  const shown = denied.slice(0, 8).join(', ')
  return fails(
    `you may not ${shown}${denied.length > 8 ? ` and ${denied.length - 8} more` : ''}`,
    'use a kubeconfig of somebody who may, or have the rights granted: kubectl auth can-i VERB RESOURCE -n NAMESPACE',
  )
}

function images({ images: { file, missing } }: Facts): Finding {
  if (missing.length === 0) return ok(`images of ${file}`)
  return fails(
    `${file} has no ${missing.join(', ')}`,
    'npm run images -- --registry HOST/PREFIX --push, or the images.json of this release',
  )
}

function foreignNamespace({ name, enforces }: ForeignNamespace): Finding {
  if (enforces === undefined)
    return told(
      `namespace ${name} is somebody else's and enforces no Pod Security`,
      `kubectl label namespace ${name} pod-security.kubernetes.io/enforce=restricted`,
    )
  return ok(`namespace ${name} was there; it stays as it is, and stays at an uninstall`)
}

/** What lets agents in, or looks at their Jobs, goes by a label that we do not put on a namespace of somebody else. */
function whoseRuns({ name, runsOf }: ForeignNamespace, { namespace, runNamespaces, features }: Config): Finding[] {
  const wants = features.filter((feature) => feature === 'run-door' || feature === 'jobs-watch')
  if (wants.length === 0 || !runNamespaces.includes(name) || runsOf === namespace) return []
  return [
    fails(
      `namespace ${name} is somebody else's and does not say that it has runs of ${namespace}; without that no ${wants.join(' and no ')} works there`,
      `kubectl label namespace ${name} ${RUNS_OF_LABEL}=${namespace}`,
    ),
  ]
}

function storage({ storageClasses }: Facts, wanted: string | undefined): Finding {
  const found = storageClasses.find(({ name, isDefault }) => (wanted === undefined ? isDefault : name === wanted))
  if (found !== undefined) return ok(`storage class ${found.name} for the trial database`)
  const names = storageClasses.map(({ name }) => name).join(', ') || 'none'
  return wanted === undefined
    ? fails('there is no default storage class', `name one in database.trial.storageClass; there are: ${names}`)
    : fails(`there is no storage class ${wanted}`, `there are: ${names}`)
}
