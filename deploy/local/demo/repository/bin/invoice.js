#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { render } from '../src/invoice.js'

const [file] = process.argv.slice(2)
if (file === undefined) {
  console.error('usage: invoice <file.json>')
  process.exit(2)
}
console.log(render(JSON.parse(readFileSync(file, 'utf8'))))
