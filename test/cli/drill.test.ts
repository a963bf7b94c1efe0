// `hourglass drill` as a command: what it prints, and how it ends.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { hourglass } from '../support/hourglass.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-drill-'))
afterAll(() => rmSync(folder, { recursive: true }))

function script(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const good = script('good.pkt', '0 < S 0:0(0) win 10\n+0 > R. 0:0(0) ack 1 win 0\n')
const bad = script('bad.pkt', '0 < S 0:0(0) win 10\n+0 > R. 0:0(0) ack 2 win 0\n')
const wrong = script('wrong.pkt', '0 < S 0:0(0) win 10\n+0 < S 0:1(0) win 10\n')
const strange = script('strange.pkt', '0 < sctp: INIT[]\n')

describe('hourglass drill', () => {
  test('prints how many passed and failed, and ends with 0', () => {
    expect(hourglass(`drill ${good} ${good}`)).toEqual({ code: 0, stdout: '2 passed, 0 failed\n', stderr: '' })
  })

  test('shows a failure with file, line, and both packets, and ends with 1', () => {
    const { code, stdout } = hourglass(`drill ${good} ${bad}`)
    expect(code).toBe(1)
    expect(stdout).toBe(
      [
        `${bad}:2: ack 2 was expected, 1 seen`,
        '  expected  0.000000 > R. 0:0(0) ack 2 win 0',
        '  seen      0.000000 > R. 0:0(0) ack 1 win 0',
        '1 passed, 1 failed\n',
      ].join('\n'),
    )
  })

  test('lists what was not run, by reason', () => {
    const { code, stdout } = hourglass(`drill ${good} ${strange}`)
    expect(code).toBe(0)
    expect(stdout).toBe(`1 passed, 0 failed\n1 not run:\n  1 packets of sctp ${strange}\n`)
  })

  test('says file, line and what was expected of a wrong script, and ends with 2', () => {
    const { code, stderr } = hourglass(`drill ${wrong}`)
    expect(code).toBe(2)
    expect(stderr).toBe(`hourglass: ${wrong}:2: expected 0: 0 and 0 bytes, found '1'\n`)
  })

  test('prints one JSON object with --json', () => {
    const { code, stdout } = hourglass(`drill --json --define X=1 --level lenient ${bad}`)
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      level: 'lenient',
      passed: 0,
      failed: 1,
      scripts: [{ kind: 'failed', line: 2 }],
    })
  })

  test.each([
    ['--level exact', '--level is exact: it must be one of strict, lenient, portable'],
    ['--define X', "--define is 'X': write it like MSS=1460"],
  ])('refuses %s', (words, message) => {
    const { code, stderr } = hourglass(`drill ${words} ${good}`)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })

  test('says which file cannot be read', () => {
    const { code, stderr } = hourglass(`drill ${folder}/none.pkt`)
    expect(code).toBe(2)
    expect(stderr).toContain(`${folder}/none.pkt cannot be read`)
  })

  test('a file without end is no script, and what is wrong in one is told on one short line', () => {
    const endless = script('endless.pkt', 'x'.repeat(100_000))
    const { code, stderr } = hourglass(['drill', '/dev/zero', endless])
    expect(code).toBe(2)
    const [first, second] = stderr.split('\n')
    expect(first).toBe(
      'hourglass: /dev/zero cannot be read (it is longer than 1048576 bytes): give a script, a folder of them, or a pattern in quotes',
    )
    expect(second).toMatch(/^hourglass: .*endless\.pkt:1: expected .*x…$/)
    expect(second!.length).toBeLessThan(500)
  })

  test('runs the scripts of a folder, and those that a pattern stands for', () => {
    const below = join(folder, 'below', 'deeper')
    mkdirSync(below, { recursive: true })
    writeFileSync(join(below, 'one.pkt'), readFileSync(good))
    writeFileSync(join(below, 'notes.txt'), 'no script')
    expect(hourglass(`drill ${join(folder, 'below')}`).stdout).toBe('1 passed, 0 failed\n')
    expect(hourglass(`drill ${folder}/below/**/*.pkt`).stdout).toBe('1 passed, 0 failed\n')
    expect(hourglass(`drill ${folder}/below/*.pkt`)).toMatchObject({
      code: 2,
      stderr: `hourglass: ${folder}/below/*.pkt stands for no file\n`,
    })
  })

  test('a file that cannot be read keeps no other from being run', () => {
    const { code, stdout, stderr } = hourglass(`drill ${join(folder, 'none.pkt')} ${good}`)
    expect(code).toBe(2)
    expect(stdout).toBe('1 passed, 0 failed\n')
    expect(stderr).toContain('none.pkt cannot be read')
  })
})
