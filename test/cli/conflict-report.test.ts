// Which address conflicts are told.

import { describe, expect, it } from 'vitest'
import { ConflictReport } from '../../src/cli/conflict-report.ts'

describe('address conflicts', () => {
  it('each is told once in ten seconds, and then how often it came', () => {
    const report = new ConflictReport()
    expect(report.hear('a', 0)).toBe('a')
    for (let at = 1; at <= 500; at++) expect(report.hear('a', at)).toBeNull()
    expect(report.hear('b', 600)).toBe('b')
    expect(report.hear('a', 10_000)).toBe('a (500 more since this was told last)')
    expect(report.hear('a', 20_000)).toBe('a')
  })

  it('a flood of different ones is told in a few lines, and counted', () => {
    const report = new ConflictReport()
    const told = []
    for (let number = 0; number < 10_000; number++) {
      const line = report.hear(`conflict ${number}`, number / 10)
      if (line !== null) told.push(line)
    }
    expect(told).toHaveLength(8)
    expect(report.hear('later', 20_000)).toBe('later (9992 other conflicts were not told)')
  })
})
