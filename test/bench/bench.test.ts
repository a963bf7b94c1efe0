// The benches as a command: what it prints and how it ends. What the figures are is no test's business: they depend on
// what else the machine does.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isMet, table } from '../../bench/figure.ts'
import { median, race } from '../../bench/timing.ts'

const MAIN = resolve('dist/bench/main.js')
if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: npx tsc -b tsconfig.node.json makes it`)

const bench = (...words: string[]) => spawnSync(process.execPath, [MAIN, ...words], { encoding: 'utf8' })

interface Document {
  readonly machine: { readonly cores: number; readonly node: string }
  readonly benches: {
    readonly name: string
    readonly figures: { readonly what: string; readonly value: number; readonly met: boolean | null }[]
  }[]
}

describe('npm run bench', () => {
  test('checksum --json prints one document with the machine, the figures and the verdict on each bound', () => {
    const { status, stdout } = bench('checksum', '--json')
    const { machine, benches } = JSON.parse(stdout) as Document
    expect(machine.node).toBe(process.versions.node)
    expect(benches.map(({ name }) => name)).toEqual(['checksum'])
    const figures = benches[0]!.figures
    const limited = figures.find(({ what }) => what === '1,460 bytes, aligned: sumOctets')!
    expect(limited.value).toBeGreaterThan(0)
    expect(typeof limited.met).toBe('boolean')
    expect(status).toBe(figures.some(({ met }) => met === false) ? 1 : 0)
  }, 60_000)

  test('an unknown name is a mistake in usage: exit code 2 and the list of names, on standard error', () => {
    const { status, stdout, stderr } = bench('checksum', 'speed')
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain("'speed' is not a bench")
    for (const name of [
      'checksum',
      'buffers',
      'packets',
      'udp',
      'memory',
      'tap',
      'frames',
      'tcp',
      'tcp-tap',
      'tcp-paths',
    ]) {
      expect(stderr).toContain(`\n  ${name} `)
    }
  })
})

describe('the figures', () => {
  test('a bound is met up to and including its limit, and a figure without one has no verdict', () => {
    const figure = { what: 'x', value: 5, unit: 'ns' }
    expect(isMet(figure)).toBeNull()
    expect(isMet({ ...figure, bound: { atMost: 5 } })).toBe(true)
    expect(isMet({ ...figure, bound: { atMost: 4 } })).toBe(false)
    expect(isMet({ ...figure, bound: { atLeast: 5 } })).toBe(true)
    expect(isMet({ ...figure, bound: { atLeast: 6 } })).toBe(false)
    expect(isMet({ ...figure, value: Number.NaN, bound: { atMost: 5 } })).toBe(false)
  })

  test('the table puts value, unit, bound and verdict into columns', () => {
    const lines = table([
      { what: 'short', value: 1_234.5, unit: 'per second', bound: { atLeast: 2_000 } },
      { what: 'rather long', value: 7.25, unit: 'ns' },
    ])
    expect(lines).toEqual(['  short        1,235 per second  at least 2,000  MISSED', '  rather long   7.25 ns'])
  })

  test('a race gives the time of one go to each contestant', () => {
    const spin = (turns: number) => (count: number) => {
      let sum = 0
      for (let index = 0; index < count * turns; index++) sum = (sum * 31 + index) | 0
      return sum
    }
    const contestants = [
      { name: 'one', run: spin(100) },
      { name: 'twenty', run: spin(2_000) },
    ]
    const times = race(contestants, { rounds: 3, roundMillis: 2, warmupMillis: 5 })
    expect([...times.keys()]).toEqual(['one', 'twenty'])
    expect(times.get('twenty')!).toBeGreaterThan(times.get('one')!)
  })

  test('the median of an even number of values lies between the middle two', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([1, 2, 4, 100])).toBe(3)
    expect(median([])).toBeNaN()
  })
})
