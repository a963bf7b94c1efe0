// What is published: every entry that package.json promises is there after a build, and nothing goes along that
// is of no use to the person who installs it. Needs dist/ (npm test builds it first).

import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { describe, expect, test } from 'vitest'
import { ROOT } from './dependencies.ts'

interface Manifest {
  readonly exports: Record<string, string | Record<string, string>>
  readonly bin: Record<string, string>
  readonly files: string[]
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest

/** The files that `npm publish` would send. */
function packed(): string[] {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 64 * 1_024 * 1_024,
  })
  const [pack] = JSON.parse(output) as [{ files: { path: string }[] }]
  return pack.files.map(({ path }) => path)
}

/** Does `file` lie under this entry of `files`? `*` stands for anything but a slash. */
function covers(entry: string, file: string): boolean {
  const pattern = entry.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '[^/]*')
  return new RegExp(`^${pattern}(/|$)`).test(file)
}

describe('the package', () => {
  const files = packed()

  test('every entry of exports is built and packed', () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    )
    expect(targets.filter((target) => !files.includes(target.replace(/^\.\//, '')))).toEqual([])
  })

  test('every bin is built, packed, and names its interpreter', () => {
    for (const target of Object.values(manifest.bin)) {
      expect(files).toContain(target)
      expect(readFileSync(join(ROOT, target), 'utf8').split('\n')[0]).toBe('#!/usr/bin/env node')
    }
  })

  test('every entry of files matches something', () => {
    const promised = manifest.files.filter((entry) => !entry.startsWith('!'))
    expect(promised.filter((entry) => !files.some((file) => covers(entry, file)))).toEqual([])
  })

  test('neither tests nor the compiler’s notes are packed', () => {
    expect(files.filter((file) => /(^|\/)(test|types-of-tests)\/|\.tsbuildinfo$/.test(file))).toEqual([])
  })

  test('every packed file of code still has its source', () => {
    const sources = files.flatMap((file) => {
      const source = /^dist\/((?:src|native-free-fallback)\/.+)\.js$/.exec(file)?.[1]
      return source === undefined ? [] : [source]
    })
    expect(sources.length).toBeGreaterThan(0)
    expect(sources.filter((source) => !isFile(join(ROOT, `${source}.ts`)))).toEqual([])
  })

  test('publint finds no fault', async () => {
    const { messages, pkg } = await publint({ pkgDir: ROOT, strict: true, level: 'warning' })
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([])
  })
})

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}
