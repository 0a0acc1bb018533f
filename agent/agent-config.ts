/** Names that configure a coding agent or a shell when they lie in a repository. */
const names = new Set(['.agents', '.claude', '.codex', '.cursor', '.envrc', '.gemini', '.mcp.json'])

/**
 * True for a path that is, or lies in, an agent's configuration, at any depth and in any case. Such paths are not
 * checked out for the run, and what the agent writes there is not part of its change.
 */
export function isAgentConfig(path: string): boolean {
  return path.split('/').some((part) => names.has(part.toLowerCase()))
}
