// Every packet script of this folder, to the letter.

import { describe, expect, test } from 'vitest'
import { runScript } from '../../src/drill/runner.ts'
import { testPool } from '../support/pool.ts'
import { isNoticed, LEAST_SHARE, sampleOf, shareOf } from './mutate.ts'
import { scriptFiles } from './scripts.ts'

const files = scriptFiles()

describe('packet scripts', () => {
  test.each(files)('$name passes strictly, and the stack sends nothing that it does not expect', ({ name, text }) => {
    const verdict = runScript(`test/drill/${name}`, text, { level: 'strict', exhaustive: true, pool: testPool() })
    expect(verdict).toEqual({ kind: 'passed', file: `test/drill/${name}` })
  })

  test('of 100 scripts in which one number, flag or time was changed, 95 fail at least', { timeout: 120_000 }, () => {
    const mutants = sampleOf(files, 4)
    const noticed = mutants.filter((mutant) => isNoticed(mutant)).length
    const share = shareOf(noticed, mutants.length)
    console.log(`${noticed} of ${mutants.length} mutants fail: ${share.toFixed(1)} in 100; npm run mutate tries all`)
    expect(share).toBeGreaterThanOrEqual(LEAST_SHARE)
  })

  test('each script says in its first line what it proves, and by which RFC', () => {
    expect(files.filter(({ text }) => !/^\/\/ (RFC \d+|Linux)/.test(text)).map(({ name }) => name)).toEqual([])
  })
})
