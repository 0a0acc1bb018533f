import fc from 'fast-check'
import { base, remove, write } from './change-sets.ts'
import type { Step } from './change-sets.ts'

const part = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      'a',
      'A',
      'b',
      'src',
      'Src',
      'main.ts',
      'README.md',
      'docs',
      'café.md',
      'cafe\u0301.md',
      'ß',
      'SS',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '',
      '.',
      '..',
      '.git',
      '.GIT',
      'git~1',
      '.git ',
      '.git.',
      '.g\u200cit',
      '.gitmodules',
      'GITMOD~1',
      'nul',
      'a.',
      'a ',
      'C:',
      'a\\b',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }) },
)
const path = fc.oneof(
  fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
  fc.constantFrom(...base.keys()),
)
/** Changes by chance: ordinary ones, the known tricks, and names of any characters. */
export const randomStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: path.map((name) => write(name, `new ${name.length}\n`)) },
  { weight: 1, arbitrary: path.map(remove) },
)
