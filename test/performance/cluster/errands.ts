import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { kubectl, portForward } from '../../cluster/kubectl.ts'
import { NAMESPACE } from '../../cluster/platform.ts'
import { startPod } from '../../cluster/pod.ts'
import type { Installed } from '../../cluster/setup.ts'
import type { Errand, Outcome } from './asker.ts'

/** A pod that goes errands. */
export async function startAsker(installed: Installed) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('asker.ts', import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    define: { 'import.meta.main': 'false' },
  })
  const pod = await startPod('asker', outputFiles[0]?.text ?? '', installed)
  await kubectl(['wait', 'pod/asker', '--namespace', NAMESPACE, '--for', 'condition=Ready', '--timeout', '60s'])
  const forward = await portForward(NAMESPACE, 'pod/asker', 8080)
  return {
    async run<E extends Errand>(errand: E): Promise<Outcome<E>> {
      const { status, body } = await post(forward.port, JSON.stringify(errand))
      if (status !== 200) throw new Error(`the errand ${errand.kind} failed: ${body}`)
      return JSON.parse(body) as Outcome<E>
    },
    async stop() {
      forward.stop()
      await pod.stop()
    },
  }
}

/** Not fetch: a load takes longer than it waits for an answer. */
function post(port: number, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, method: 'POST' }, (answer) => {
      text(answer).then((said) => resolve({ status: answer.statusCode ?? 0, body: said }), reject)
    })
    asked.once('error', reject)
    asked.end(body)
  })
}
