// docs/rfc.md says which test proves which requirement of RFC 9293: it must be the tests that are here.

import { expect, test } from 'vitest'
import { findGaps, findProofs, proofOf, RFC_DOCUMENT, rewrite } from '../../docs/requirements.ts'
import { REQUIREMENTS } from '../../docs/rfc9293.ts'
import { readOne } from './sources.ts'

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
