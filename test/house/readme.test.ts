// What the README and docs/programs.md promise: their programs compile, run and print what they say, the examples run, and each
// option that a document gives to the command is one. The program for a real host runs in test/interop/readme.test.ts.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { CONFIG_VARIABLE, readSettings, type Settings, variableOf } from '../../src/node/register/settings.ts'
import { hourglass } from '../support/hourglass.ts'
import { blocksOf, ProgramFolder, README } from '../support/readme.ts'

const TSX = import.meta.resolve('tsx')
const TSC = fileURLToPath(import.meta.resolve('typescript/lib/tsc.js'))
const folder = new ProgramFolder()
const PROGRAMS_PAGE = readFileSync(join('docs', 'programs.md'), 'utf8')
const programs = [README, PROGRAMS_PAGE].flatMap((page) => blocksOf(page, 'ts'))
const worlds = programs.filter((program) => program.includes('new World('))
/** Those that need no privileges and end by themselves. */
const EXAMPLES = ['echo.ts', 'partition.ts', 'reconnect.ts', 'tcp.ts']
afterAll(() => folder.remove())

function run(file: string): { lines: string[]; stderr: string; status: number | null } {
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', TSX, file], {
    cwd: folder.path,
    encoding: 'utf8',
  })
  return { lines: stdout.trimEnd().split('\n'), stderr, status }
}

/** The command lines of a document that call ours: of its shell blocks, continued lines joined, and of code within the text. */
function commandsOf(markdown: string): string[] {
  const shell = blocksOf(markdown, 'sh').flatMap((block) => block.replace(/\\\n/g, ' ').split('\n'))
  const inline = [...markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!)
  return [...shell, ...inline].flatMap((line) => {
    const words = /\bhourglass ((?:up|run|ping|trace|nc|ss|ip|nstat|dump|drill|demo|doctor)\b.*)/.exec(line)?.[1]
    return words === undefined ? [] : [words.split(/ -- | #/)[0]!]
  })
}

/** Options of `line` that the help of its command does not have. */
function unknownOptions(line: string, helps: Map<string, string>): string[] {
  const [verb, ...words] = line.split(/\s+/) as [string, ...string[]]
  if (!helps.has(verb)) helps.set(verb, hourglass(`${verb} --help`).stdout)
  const help = helps.get(verb)!
  const known = new Set([...help.matchAll(/^ {2}(-[^ ,]+)(?:, (--[^ ]+))?/gm)].flatMap(([, one, two]) => [one!, two!]))
  return words.filter((word) => /^--[a-z]/.test(word) && !known.has(word)).map((word) => `${line}: ${word}`)
}

describe('the README', () => {
  test('has programs that compile', () => {
    expect(programs.length).toBeGreaterThan(worlds.length)
    for (const [index, program] of programs.entries()) folder.save(`program-${index}.ts`, program)
    const compilerOptions = {
      noEmit: true,
      composite: false,
      incremental: false,
      types: ['node'],
      outDir: 'out',
      rootDir: '.',
    }
    const config = { extends: '../../tsconfig.base.json', compilerOptions, include: ['*.ts'], exclude: [] }
    folder.save('tsconfig.json', JSON.stringify(config))
    const { stdout } = spawnSync(process.execPath, [TSC, '-p', folder.path], { encoding: 'utf8' })
    expect(stdout).toBe('')
  })

  test.each(worlds.map((program, index) => [index + 1, program] as const))(
    'has program %i for a world, which prints what the text says',
    (index, program) => {
      const file = folder.save(`world-${index}.ts`, program)
      const { lines, stderr, status } = run(file)
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
      const page = README.includes(program) ? README : PROGRAMS_PAGE
      const [, begins = 'nothing'] = /It prints [^`]*`([^`…]+)/.exec(page.slice(page.indexOf(program)))!
      expect(lines.at(-1)).toContain(begins)
      expect(run(file).lines).toEqual(lines)
    },
  )

  test('names every example', () => {
    for (const name of readdirSync('examples')) expect(README).toContain(`\`${name}\``)
  })

  test.each(EXAMPLES)('leads to examples/%s, which runs', (name) => {
    const { lines, stderr, status } = run(join(process.cwd(), 'examples', name))
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    expect(lines[0]).not.toBe('')
  })

  test('is followed by a page that has each setting of a program’s host, under its three names', () => {
    const rows = [...PROGRAMS_PAGE.matchAll(/^\| .*\| `(HOURGLASS_\w+)` \| `(\w+)` \|/gm)]
    const unknown = join(folder.path, 'settings.json')
    writeFileSync(unknown, '{ "no such": 1 }')
    const read = (): unknown => readSettings({ [CONFIG_VARIABLE]: unknown })
    expect(read).toThrow(`the keys are ${rows.map(([, , key]) => key).join(', ')}`)
    expect(rows.map(([, variable]) => variable)).toEqual(rows.map(([, , key]) => variableOf(key as keyof Settings)))
  })

  test('and the documents give the command no option that it does not have', () => {
    const documents = readdirSync('docs').filter((name) => name.endsWith('.md'))
    const all = [README, ...documents.map((name) => readFileSync(join('docs', name), 'utf8'))]
    const helps = new Map<string, string>()
    const commands = all.flatMap(commandsOf)
    expect(commands.length).toBeGreaterThan(0)
    expect(commands.flatMap((line) => unknownOptions(line, helps))).toEqual([])
    expect(unknownOptions('up --link mem --colour', helps)).toEqual(['up --link mem --colour: --colour'])
  })
})
