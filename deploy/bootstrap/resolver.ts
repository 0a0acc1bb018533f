import { KubectlError, list, type Kubectl, type Resource } from './kubectl.ts'

/** A port of the pods behind the cluster's resolver. */
export interface ResolverPort {
  readonly protocol: string
  readonly port: number
}

/** Where the resolver's pods listen: a NetworkPolicy goes by that, and it is not 53 everywhere. Empty: not to be seen. */
export async function resolverPorts(kubectl: Kubectl): Promise<ResolverPort[]> {
  const ofResolver = ['--selector', 'kubernetes.io/service-name=kube-dns']
  const slices = await list(kubectl, 'endpointslices.discovery.k8s.io', 'kube-system', ...ofResolver).catch(
    (error: unknown) => {
      if (error instanceof KubectlError) return []
      throw error
    },
  )
  const ports = slices.flatMap(
    (slice) => (slice as unknown as { ports?: (ResolverPort & { name?: string })[] }).ports ?? [],
  )
  return ports.filter(({ name }) => name?.startsWith('dns')).map(({ protocol, port }) => ({ protocol, port }))
}

/** Lets agents reach the resolver on its pods' own ports, besides those that the policy `dns` names. */
export function withResolver(resources: readonly Resource[], found: readonly ResolverPort[]): Resource[] {
  return resources.map((resource) => {
    if (resource.kind !== 'NetworkPolicy' || resource.metadata.name !== 'dns') return resource
    const spec = resource.spec as { egress: { ports: ResolverPort[] }[] }
    const egress = spec.egress.map((rule) => {
      const isKnown = (one: ResolverPort) =>
        rule.ports.some(({ protocol, port }) => protocol === one.protocol && port === one.port)
      return { ...rule, ports: [...rule.ports, ...found.filter((one) => !isKnown(one))] }
    })
    return { ...resource, spec: { ...spec, egress } }
  })
}
