// What the doctor finds on the machine that runs the tests, whatever it has.

import { describe, expect, it } from 'vitest'
import { examine } from '../../src/node/doctor.ts'

describe('the doctor', () => {
  it('finds Node, and for whatever is lacking says how to mend it', async () => {
    const findings = await examine()
    expect(findings.find(({ name }) => name === 'node')?.ok).toBe(true)
    expect(new Set(findings.map(({ name }) => name)).size).toBe(findings.length)
    for (const { ok, detail, mend } of findings) {
      expect(detail).not.toBe('')
      expect(detail).not.toContain('the check itself failed')
      expect(mend === '').toBe(ok)
    }
  })

  it('does without a PATH', async () => {
    const path = process.env.PATH
    try {
      process.env.PATH = ''
      expect((await examine()).length).toBeGreaterThan(10)
    } finally {
      process.env.PATH = path
    }
  })
})
