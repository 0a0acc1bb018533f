// The floor under every function: Node's own HTTP server and nothing else. Plain JavaScript, because taking types away
// costs a start more than the server does.
import { writeSync } from 'node:fs'
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  request.resume().once('end', () => response.writeHead(request.method === 'GET' ? 200 : 202).end())
})
server.listen(process.env.PORT ?? 0, () =>
  writeSync(1, `{"url":"http://127.0.0.1:${server.address().port}","msg":"listening"}\n`),
)
process.once('SIGTERM', () => server.close(() => process.exit(0)))
