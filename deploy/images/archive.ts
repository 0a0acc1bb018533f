import { resolve } from 'node:path'
import type { Image } from './build.ts'
import { run } from './run.ts'
import type { ToolName } from './tool.ts'

/** Puts built images into one file that clusters import: OCI layout, or what docker saves. */
export async function writeArchive(
  tool: ToolName,
  layout: string,
  images: readonly Image[],
  file: string,
): Promise<void> {
  const references = images.map(({ newName, newTag }) => `${newName}:${newTag}`)
  if (tool === 'docker') await run('docker', ['save', '--output', file, ...references])
  else await run('tar', ['-cf', resolve(file), '-C', layout, '.'])
}
