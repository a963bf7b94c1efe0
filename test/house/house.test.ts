// The rules of the house as tests: the code obeys them, and each check finds a fault that is planted.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import configuration from '../../.dependency-cruiser.mjs'
import { type Fault, findBans } from './bans.ts'
import { findViolations, ROOT } from './dependencies.ts'
import { findDeadLinks } from './links.ts'
import { PLANTS, plantedTree, withTree } from './planted.ts'
import { readOne, readTree } from './sources.ts'
import * as tidy from './tidy.ts'

const product = readTree(['src', 'native-free-fallback'], '.ts')
const rest = readTree(['test', 'bench', 'examples', 'docs'], '.ts')
const tests = rest.filter(({ file }) => file.endsWith('.test.ts'))

const lines = (faults: readonly Fault[]): string[] => faults.map(({ file, line, text }) => `${file}:${line}: ${text}`)
const texts = (faults: readonly Fault[]): string[] => faults.map(({ line, text }) => `${line}: ${text}`)

describe('layers', () => {
  test('every import of the product obeys the layer rules', async () => {
    expect(await findViolations(ROOT)).toEqual([])
  })

  test('the checker is content with a tree that breaks no rule', async () => {
    expect(await withTree(plantedTree(), findViolations)).toEqual([])
  })

  test.each(PLANTS)('the checker reports a planted breach of $rule: %#', async (plant) => {
    const found = await withTree(plantedTree(plant), findViolations)
    expect(new Set(found.map(({ rule }) => rule))).toEqual(new Set([plant.rule, ...(plant.also ?? [])]))
    expect(found.some(({ where }) => where.includes(Object.keys(plant.files)[0]!))).toBe(true)
    expect(found.every(({ why }) => why !== '')).toBe(true)
  })

  test('every rule has a planted breach', () => {
    const rules = (configuration.forbidden ?? []).map(({ name }) => name!)
    expect([...new Set(PLANTS.map(({ rule }) => rule))].sort()).toEqual([...rules, 'no-barrels'].sort())
  })
})

describe('the core names no clock, no randomness, no I/O', () => {
  test('no file of the core does', () => {
    expect(lines(product.flatMap(({ file, text }) => findBans(file, text)))).toEqual([])
  })

  test.each([
    ['const now = Date.now()', 'Date'],
    ['export type When = Date', 'Date'],
    ['const n = Math.random()', 'Math.random'],
    ["const n = Math['random']()", 'Math.random'],
    ['const { random } = Math', 'Math.random'],
    ['performance.now()', 'performance'],
    ['setTimeout(() => {}, 1)', 'setTimeout'],
    ['process.exit()', 'process'],
    ["console.log('here')", 'console'],
    ['Buffer.alloc(1)', 'Buffer'],
    ['declare const Buffer: { alloc(size: number): Uint8Array }', 'Buffer'],
    ["const clock = globalThis['Da' + 'te']", 'globalThis'],
    ['const held = new WeakRef({})', 'WeakRef'],
    ['new FinalizationRegistry(() => {})', 'FinalizationRegistry'],
    ['(5).toLocaleString()', 'toLocaleString'],
    ['export async function read() {}', 'async'],
    ['export function read(): Promise<void> { return wait }', 'Promise'],
    ['const done = wait.then(go)', '.then'],
    ["const module = import('./a.ts')", 'import()'],
    ['for await (const one of all) one()', 'await'],
  ])('the check reports a planted %s', (code, banned) => {
    const found = findBans('src/tcp/planted.ts', `// Header.\n\n${code}\n`)
    expect(found.length).toBeGreaterThan(0)
    expect(found.every(({ line, text }) => line === 3 && text.startsWith(`${banned}:`))).toBe(true)
  })

  test('the check is content with names that only look banned', () => {
    const code =
      "const { Date: day } = table\nconst rtt = Math.floor(tcp.process(x).console) // Date.now()\nlabel('Date')\n"
    expect(findBans('src/tcp/planted.ts', code)).toEqual([])
  })

  test('promises are allowed in src/socket, and everything at the edge', () => {
    expect(findBans('src/socket/planted.ts', 'export async function read(): Promise<void> {}')).toEqual([])
    expect(findBans('src/node/planted.ts', 'setTimeout(() => process.exit(Date.now()), 1)')).toEqual([])
    expect(findBans('src/socket/planted.ts', 'Date.now()')).toHaveLength(1)
  })
})

describe('tidy', () => {
  test('files and functions can be read in one sitting', () => {
    expect(lines(product.flatMap(({ file, text }) => tidy.findLong(file, text)))).toEqual([])
  })

  test('every excuse for length is still needed', () => {
    const unexcused = product.flatMap(({ file, text }) => tidy.findLong(file, text, new Map()))
    const needed = (excuse: string): boolean => unexcused.some(({ file }) => file === excuse.split(' ')[0])
    expect([...tidy.ALLOWED_LONG.keys()].filter((excuse) => !needed(excuse))).toEqual([])
  })

  test('nothing is left unfinished', () => {
    expect(lines([...product, ...rest].flatMap(({ file, text }) => tidy.findUnfinished(file, text)))).toEqual([])
  })

  test('every file says first what it owns', () => {
    expect(lines(product.flatMap(({ file, text }) => tidy.findMissingHeader(file, text)))).toEqual([])
  })

  test('no any, no silenced compiler, no inheritance in the core, no file named for nothing', () => {
    expect(lines(product.flatMap(({ file, text }) => tidy.findShortcuts(file, text)))).toEqual([])
  })

  test('no test is focused, only promised, or passed over in CI for a program that is missing', () => {
    expect(lines(tests.flatMap(({ file, text }) => tidy.findFocused(file, text)))).toEqual([])
  })

  test('no two tests have one title', () => {
    const titles = tests.flatMap(({ file, text }) => tidy.testTitles(file, text))
    expect(titles.length).toBeGreaterThan(0)
    expect(lines(tidy.findDuplicateTitles(titles))).toEqual([])
  })

  test('each tidy check reports its planted fault', () => {
    const file = 'src/tcp/planted.ts'
    const long = `${'\n'.repeat(tidy.FILE_LINES)}function tall() {${'\n'.repeat(tidy.FUNCTION_LINES)}}\n`
    expect(texts(tidy.findLong(file, long))).toEqual([
      `1: the file has ${tidy.FILE_LINES + tidy.FUNCTION_LINES + 1} lines, more than ${tidy.FILE_LINES}`,
      `${tidy.FILE_LINES + 1}: tall has ${tidy.FUNCTION_LINES + 1} lines, more than ${tidy.FUNCTION_LINES}`,
    ])
    const excused = new Map([
      [file, 'a table'],
      [`${file} tall`, 'a table'],
    ])
    expect(tidy.findLong(file, long, excused)).toEqual([])
    expect(tidy.findUnfinished(file, `one\n// ${'TO'}${'DO'}: two\n`)).toHaveLength(1)
    expect(tidy.findMissingHeader(file, "import './a.ts'\n// Late.\n")).toHaveLength(1)
    expect(tidy.findMissingHeader(file, '#!/usr/bin/env node\n// In time.\n')).toEqual([])
    expect(
      texts(tidy.findShortcuts(file, 'const a = b as any\nclass A extends B {}\nclass C extends RangeError {}\n')),
    ).toEqual(['1: any', '2: a class of the core extends nothing but an Error'])
    expect(tidy.findShortcuts('src/tcp/helpers.ts', '// @ts-ignore\n')).toHaveLength(2)
    expect(tidy.findShortcuts('src/node/stream.ts', 'class A extends B {}')).toEqual([])
    expect(tidy.findFocused(file, `test.${'on'}${'ly'}('a', () => {})\nlist.only()\n`)).toHaveLength(1)
    expect(tidy.findFocused(file, "it.skipIf(!hasTool('nc'))('a', () => {})\n")).toHaveLength(1)
  })

  test('the title check sees through describe, each and prop', () => {
    const code =
      "describe('a', () => {\n test('b', f)\n test.each([1])('c', f)\n})\ntest.prop([x])('a > b', f)\nother('c')\n"
    const titles = tidy.testTitles('planted.test.ts', code)
    expect(titles.map(({ title }) => title)).toEqual(['a > b', 'a > c', 'a > b'])
    expect(texts(tidy.findDuplicateTitles(titles))).toEqual(['5: "a > b" is also the title of planted.test.ts:2'])
  })
})

describe('documents', () => {
  const documents = () => [readOne('README.md'), readOne('CHANGELOG.md'), ...readTree(['docs'], '.md')]

  test('every relative link leads somewhere', () => {
    expect(lines(documents().flatMap(({ file, text }) => findDeadLinks(ROOT, file, text)))).toEqual([])
  })

  test('every decision has a number of its own', () => {
    const decisions = readTree(['docs/decisions'], '.md').map(({ file }) => file)
    const numbers = decisions.map((file) => /^docs\/decisions\/(\d{4})-[a-z0-9-]+\.md$/.exec(file)?.[1])
    expect(numbers).not.toContain(undefined)
    expect(new Set(numbers).size).toBe(numbers.length)
  })

  test('the check reports planted dead links', () => {
    const text =
      '# A b\n[1](gone.md) [2](#a-b) [3](#b)\n[4](../package.json) [5](https://example.org/x)\n`[6](gone.md)`\n'
    expect(texts(findDeadLinks(ROOT, 'docs/planted.md', text))).toEqual([
      '2: gone.md does not exist',
      '2: #b: no heading makes that anchor',
    ])
    expect(existsSync(join(ROOT, 'docs/planted.md'))).toBe(false)
  })
})
