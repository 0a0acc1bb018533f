import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

// node gather.mjs FOLDER: runs in the base image and makes FOLDER the root of an image that has this Node and nothing else.

const root = process.argv[2] ?? ''
const copy = (from, to = from) => {
  mkdirSync(dirname(join(root, to)), { recursive: true })
  copyFileSync(from, join(root, to))
}
const write = (path, text) => {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

copy(process.execPath, '/usr/local/bin/node')
// What the loader has loaded for this very process. The kernel's own has no path.
process.report.excludeNetwork = true
for (const path of process.report.getReport().sharedObjects) {
  if (path.startsWith('/') && path !== process.execPath) copy(path)
}

for (const path of ['/etc/ssl/certs/ca-certificates.crt', '/etc/ssl/cert.pem']) if (existsSync(path)) copy(path)
write('/etc/passwd', 'root:x:0:0:root:/:/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/nologin\n')
write('/etc/group', 'root:x:0:\nnonroot:x:65532:\n')
write('/etc/nsswitch.conf', 'hosts: files dns\n')
mkdirSync(join(root, 'tmp'))
chmodSync(join(root, 'tmp'), 0o1777)

// Where the base has them.
const licenses = {
  node: ['/usr/local/LICENSE', '/usr/share/doc/nodejs/copyright'],
  libc: ['/usr/share/doc/libc6/copyright'],
  'libstdc++': ['/usr/share/doc/libstdc++6/copyright', '/usr/share/doc/gcc-12-base/copyright'],
}
for (const [name, paths] of Object.entries(licenses)) {
  const found = paths.find((path) => existsSync(path))
  if (found !== undefined) copy(found, `/licenses/${name}.txt`)
}
