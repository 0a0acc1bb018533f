/** What one attempt needs. */
export interface Settings {
  readonly runGatewayUrl: string
  readonly modelGatewayUrl: string
  readonly runToken: string
  readonly modelToken: string
  /** Empty and writable. */
  readonly workDir: string
  /** What is touched as a sign of life; undefined where nobody watches it. */
  readonly heartbeatFile: string | undefined
  readonly codexBinary: string
  readonly sandbox: 'workspace-write' | 'none'
  /** Whether the sandbox lets the agent's commands use sockets; the pod's own limits on egress hold in any case. */
  readonly network: boolean
  /** For git, the CLI and what the agent runs. */
  readonly path: string
}
