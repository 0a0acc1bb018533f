import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { spawnNode } from '../test/support/processes.ts'
import { eventually } from '../test/support/wait.ts'
import { freePort } from './local/free-port.ts'

/** A gateway that says what it was asked, in two pieces. */
async function gateway(name: string) {
  const asked: { url: string | undefined; headers: IncomingMessage['headers']; body: string }[] = []
  const server = createServer((incoming, outgoing) => {
    void buffer(incoming).then((body) => {
      asked.push({ url: incoming.url, headers: incoming.headers, body: body.toString() })
      outgoing.writeHead(207, { 'content-type': 'text/plain', 'x-gateway': name })
      outgoing.write('first ')
      setTimeout(() => outgoing.end('last'), 20)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { asked, close, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function door() {
  const [run, model] = [await gateway('run'), await gateway('model')]
  const [port, modelPort] = [await freePort(), await freePort()]
  const env = { RUN_GATEWAY_URL: run.url, MODEL_GATEWAY_URL: model.url, PORT: `${port}`, MODEL_PORT: `${modelPort}` }
  const script = fileURLToPath(new URL('run-door.ts', import.meta.url))
  const process = spawnNode(script, { env })
  const ask = async (at: number, path: string, headers = {}, body = '') => {
    const asked = request({ host: '127.0.0.1', port: at, path, method: 'POST', headers }).end(body)
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    return { status: answer.statusCode, headers: answer.headers, body: (await buffer(answer)).toString() }
  }
  const isUp = () =>
    fetch(`http://127.0.0.1:${modelPort}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
  await eventually(isUp, { what: 'the door to open' })
  return { run, model, port, modelPort, process, ask }
}

test('each port leads to one gateway, with what that reads and nothing else', async () => {
  const { run, model, port, modelPort, ask } = await door()
  const headers = {
    host: 'label-router.codex-k8s.svc.cluster.local',
    authorization: 'Bearer x',
    'content-type': 'text/plain',
    'knative-serving-revision': 'label-router-00001',
    'x-forwarded-for': '127.0.0.1',
    upgrade: 'websocket',
  }
  const answer = await ask(port, '//elsewhere/v1?a=b', headers, 'hello')
  expect(answer).toMatchObject({ status: 207, body: 'first last' })
  expect(answer.headers).toMatchObject({ 'x-gateway': 'run' })
  expect(run.asked).toMatchObject([{ url: '//elsewhere/v1?a=b', body: 'hello' }])
  expect(run.asked[0]?.headers).toMatchObject({ host: new URL(run.url).host, authorization: 'Bearer x' })
  expect(Object.keys(run.asked[0]?.headers ?? {}).toSorted()).toEqual([
    'authorization',
    'connection',
    'content-length',
    'content-type',
    'host',
  ])
  expect((await ask(modelPort, '/v1/responses')).headers).toMatchObject({ 'x-gateway': 'model' })
  expect([run.asked.length, model.asked.length]).toEqual([1, 1])
})

test('it is no proxy to anywhere, and a gateway that is away is 502, which agents repeat', async () => {
  const { run, port, ask } = await door()
  expect((await ask(port, `${run.url}/v1`)).status).toBe(400)
  expect(run.asked).toEqual([])
  run.close()
  expect((await ask(port, '/v1')).status).toBe(502)
})
