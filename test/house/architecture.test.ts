// The picture of the layers in docs/architecture.md is drawn from the code: it must be the code that is here.

import { expect, test } from 'vitest'
import { DOCUMENT, redraw } from '../../docs/generate.ts'
import { readOne } from './sources.ts'

/** Without the counts of files and lines, which any change moves: they are renewed when the imports change. */
function withoutCounts(document: string): string {
  return document.replace(/^(\| `[^|]+\| [^|]+\|)[^|]+\|[^|]+\|/gm, '$1')
}

test('the drawing of the layers in docs/architecture.md shows the imports that are in the code', async () => {
  const { text } = readOne(DOCUMENT)
  expect(withoutCounts(text), 'npm run docs draws it anew').toBe(withoutCounts(await redraw(text)))
})

test('a drawing that shows other imports is noticed', async () => {
  const { text } = readOne(DOCUMENT)
  const altered = text.replace(/^ {2}\S+ --> \S+\n/m, '')
  expect(altered).not.toBe(text)
  expect(await redraw(altered)).toBe(await redraw(text))
  expect(withoutCounts(altered)).not.toBe(withoutCounts(await redraw(altered)))
})

test('what people wrote around the drawing stays', async () => {
  const { text } = readOne(DOCUMENT)
  const drawn = await redraw(`Before.\n${text}After.\n`)
  expect(drawn.startsWith('Before.\n')).toBe(true)
  expect(drawn.endsWith('After.\n')).toBe(true)
  await expect(redraw('no markers')).rejects.toThrow('markers')
})
