import type { Config } from './config.ts'

/** What the functions are told of the configuration: the ConfigMap `codex-k8s`. */
export function configData(config: Config, images: ReadonlyMap<string, string>): Record<string, string> {
  const { namespace, broker, features, forge, model, gates, logLevel, metrics, runNamespaces, staff } = config
  const at = (name: string) => `http://${name}.${namespace}.svc.cluster.local`
  const hasDoor = features.includes('run-door')
  return {
    brokerUrl: broker.url ?? brokerUrls[broker.class](namespace),
    serviceUrlTemplate: at('{function}'),
    runGatewayUrl: hasDoor ? at('run-door') : at('run-gateway'),
    modelGatewayUrl: hasDoor ? `${at('run-door')}:81` : at('model-gateway'),
    githubUrl: forge.apiUrl,
    gitUrl: forge.gitUrl,
    modelUrl: model.url,
    models: model.names.join(','),
    gates: JSON.stringify(gates),
    runNamespaces: runNamespaces.join(','),
    agentImage: images.get('codex-k8s/agent') ?? '',
    staffAdmins: staff.admins.join(','),
    staffAudiences: staff.audiences.join(','),
    publicUrl: config.publicUrl ?? '',
    otelEndpoint: config.otelEndpoint ?? '',
    logLevel,
    metrics: metrics ? 'on' : 'off',
  }
}

/** Where a broker of each class takes events. Once it is there it says so itself, and the installer compares. */
const brokerUrls = {
  MTChannelBasedBroker: (namespace: string) =>
    `http://broker-ingress.knative-eventing.svc.cluster.local/${namespace}/default`,
  RabbitMQBroker: (namespace: string) => `http://default-broker-ingress.${namespace}.svc.cluster.local`,
  Kafka: (namespace: string) => `http://kafka-broker-ingress.knative-eventing.svc.cluster.local/${namespace}/default`,
} as const
