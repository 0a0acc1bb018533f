import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

// A staff API that says who somebody is and nothing else, by a TokenReview as the real one: for the way there.

const own = '/var/run/secrets/kubernetes.io/serviceaccount/'

process.on('SIGTERM', () => process.exit())

createServer(async (request, response) => {
  if (request.url !== '/v1/whoami') return response.writeHead(200).end()
  const [, token = ''] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? []
  const review = await fetch('https://kubernetes.default.svc/apis/authentication.k8s.io/v1/tokenreviews', {
    method: 'POST',
    headers: { authorization: `Bearer ${readFileSync(`${own}token`, 'utf8')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ spec: { token, audiences: ['codex-k8s'] } }),
  })
  const { status } = await review.json()
  const isPerson = status?.authenticated === true && status.audiences?.includes('codex-k8s')
  const answer = isPerson
    ? { user: status.user.username, groups: status.user.groups, roles: [] }
    : { type: 'urn:codex-k8s:unauthorized', title: 'The token does not hold', status: 401, code: 'unauthorized' }
  response.writeHead(isPerson ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
}).listen(8080)
