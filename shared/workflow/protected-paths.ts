/** A glob (picomatch, `dot: true`, any case, from the repository's root) and why no agent may write there. */
export interface ProtectedPath {
  readonly glob: string
  readonly reason: string
}

/**
 * Paths that decide who reviews a change, what runs outside the agent's sandbox, or what the next agent is told. The
 * default list of every stage; the folder `.git` itself needs no entry, no path may lead there.
 */
export const protectedPaths: readonly ProtectedPath[] = [
  { glob: '.github/workflows/**', reason: 'GitHub runs these with the secrets of the repository' },
  { glob: '.github/actions/**', reason: 'workflows run these actions' },
  { glob: '.github/{dependabot,settings}.{yml,yaml}', reason: 'bots with write access obey these' },
  { glob: '.gitlab-ci.{yml,yaml}', reason: 'GitLab runs it with the secrets of the project' },
  { glob: '.gitlab/**', reason: 'holds included pipelines and approval rules' },
  { glob: '{.circleci,.buildkite,.woodpecker,.teamcity}/**', reason: 'pipelines of other CI systems' },
  {
    glob: '{.travis,.drone,.appveyor,appveyor,.woodpecker,azure-pipelines,bitbucket-pipelines}.{yml,yaml}',
    reason: 'pipelines of other CI systems',
  },
  { glob: '**/Jenkinsfile', reason: 'Jenkins runs it with its own credentials' },
  { glob: '**/CODEOWNERS', reason: 'decides who has to review' },
  { glob: '**/.gitmodules', reason: 'names repositories that a checkout fetches' },
  { glob: '**/.gitattributes', reason: 'chooses filters, merge drivers and what a diff hides' },
  { glob: '**/.gitconfig', reason: 'git runs commands that it names' },
  { glob: '**/.lfsconfig', reason: 'names the server that gets the credentials of LFS' },
  { glob: '{.husky,.githooks}/**', reason: 'run at the next commit of whoever checks this out' },
  {
    glob: '{.pre-commit-config,lefthook,.lefthook}.{yml,yaml}',
    reason: 'run at the next commit of whoever checks this out',
  },
  { glob: '**/{.codex,.claude,.agents,.cursor,.gemini}/**', reason: 'configures the next coding agent' },
  { glob: '**/{AGENTS,AGENTS.override,CLAUDE,CLAUDE.local,GEMINI}.md', reason: 'instructs the next coding agent' },
  { glob: '**/{.cursorrules,.windsurfrules}', reason: 'instructs the next coding agent' },
  { glob: '.github/{copilot-instructions.md,instructions/**}', reason: 'instructs the next coding agent' },
  { glob: '**/.mcp.json', reason: 'starts programs for the next coding agent' },
  { glob: '{.vscode,.devcontainer,.idea}/**', reason: 'run when somebody opens the folder in an editor' },
  { glob: '**/.envrc', reason: 'a shell runs it on entering the folder' },
  { glob: '**/{.npmrc,.yarnrc,.yarnrc.yml,.pnpmfile.cjs}', reason: 'choose the registry and run at install' },
]
