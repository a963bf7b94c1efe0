// docs/rfc.md says which test proves which requirement of RFC 9293, and where each RFC is in the code: it must be the
// tests and the code that are here.

import { expect, test } from 'vitest'
import { findGaps, findProofs, proofOf, RFC_DOCUMENT, rewrite } from '../../docs/requirements.ts'
import { REQUIREMENTS } from '../../docs/rfc9293.ts'
import { ROOT } from './dependencies.ts'
import { findLostFiles, findUnlisted } from './rfcs.ts'
import { readOne, readTree } from './sources.ts'

const planted = [
  { id: 'MUST-1', section: '3.1', text: 'one' },
  { id: 'MUST-2', section: '3.1', text: 'two', untested: 'planted' },
]
const proof = (title: string) => proofOf({ file: 'test/planted.test.ts', title })

test('every numbered requirement of RFC 9293 is proved by a test that names it, or says why it is not', () => {
  expect(findGaps(REQUIREMENTS, findProofs())).toEqual([])
})

test('the numbers of RFC 9293 are all there, once and in order', () => {
  const numbered = (kind: string, count: number) => Array.from({ length: count }, (_, index) => `${kind}-${index + 1}`)
  expect(REQUIREMENTS.map(({ id }) => id)).toEqual([...numbered('MUST', 69), ...numbered('SHLD', 31)])
})

test('docs/rfc.md shows the tests that are there', () => {
  const { text } = readOne(RFC_DOCUMENT)
  expect(text, 'npm run docs writes it anew').toBe(rewrite(text))
})

test('a tag of no requirement, a requirement without a word and an excuse that is none are noticed', () => {
  expect(findGaps(planted, [proof('one does (RFC 9293 MUST-1)')])).toEqual([])
  expect(findGaps(planted, [proof('MUST-1, and MUST-70 too')])).toEqual([expect.stringContaining('no MUST-70')])
  expect(findGaps(planted, [])).toEqual([expect.stringContaining('MUST-1: no test')])
  expect(findGaps(planted, [proof('MUST-1'), proof('MUST-2')])).toEqual([expect.stringContaining('MUST-2')])
})

test('a test that goes away, and one that comes, change docs/rfc.md', () => {
  const { text } = readOne(RFC_DOCUMENT)
  const proofs = findProofs()
  expect(rewrite(text, REQUIREMENTS, proofs.slice(1))).not.toBe(text)
  expect(rewrite(text, REQUIREMENTS, [...proofs, proof('planted, MUST-1')])).toContain('planted, MUST-1')
  expect(() => rewrite('no markers')).toThrow('markers')
})

test('docs/rfc.md names files that are there, and has every RFC that the code cites', () => {
  const { file, text } = readOne(RFC_DOCUMENT)
  const faults = [
    ...findLostFiles(ROOT, file, text),
    ...findUnlisted(text, readTree(['src', 'native-free-fallback'], '.ts')),
  ]
  expect(faults.map((fault) => `${fault.file}:${fault.line}: ${fault.text}`)).toEqual([])
})

test('a file that is gone and an RFC that is not listed are noticed', () => {
  const table = '| 768 | UDP | `src/wire/udp.ts`, `gone.ts` | |\n| 8200 §4.5 | fragments | `src/ip` | |\n'
  expect(findLostFiles(ROOT, 'planted.md', table)).toEqual([
    { file: 'planted.md', line: 1, text: 'src/wire/gone.ts does not exist' },
  ])
  const source = { file: 'src/planted.ts', text: '// RFC 768.\n// RFC 8200 §4, RFC 4.\n' }
  expect(findUnlisted(table, [source])).toEqual([{ file: source.file, line: 2, text: 'RFC 4 is not in docs/rfc.md' }])
})
