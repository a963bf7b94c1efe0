// The epoch of initial sequence numbers on disk: raised at each boot, whole after every crash.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { EnvironmentError } from '../../src/errors.ts'
import { type EpochDisk, isnOf, raiseEpoch } from '../../src/node/epoch-file.ts'
import { Host } from '../../src/node/host.ts'
import { SeededRandom } from '../../src/random.ts'
import { EpochIsn, RandomIncrementIsn } from '../../src/tcp/isn.ts'
import { connect } from '../../src/tcp/open.ts'
import { seconds } from '../../src/time.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { type Seq, seqDiff } from '../../src/wire/sequence.ts'
import { hourglass } from '../support/hourglass.ts'

const folder = mkdtempSync(join(tmpdir(), 'hourglass-epoch-'))
let files = 0
const fresh = (): string => join(folder, `epoch${files++}`)
afterAll(() => rmSync(folder, { recursive: true }))

const HERE = IpAddress.from('10.0.0.1')
const THERE = IpAddress.from('10.0.0.2')

/** A disk that costs nothing. */
function memoryDisk(): EpochDisk {
  const held = new Map<string, string>()
  return {
    read: (path) => held.get(path) ?? null,
    write: (path, text) => held.set(path, text),
    rename: (from, to) => {
      held.set(to, held.get(from)!)
      held.delete(from)
    },
  }
}

describe('boots', () => {
  test('each gets one more, beginning with 1, and the file says so', () => {
    const path = fresh()
    expect([raiseEpoch(path), raiseEpoch(path), raiseEpoch(path)]).toEqual([1, 2, 3])
    expect(readFileSync(path, 'utf8')).toBe('3\n')
    expect(existsSync(`${path}.new`)).toBe(false)
  })

  test('the second has higher initial sequence numbers, however long the first ran (RFC 9293 §3.4.3)', () => {
    for (let seed = 0; seed < 200; seed++) {
      const disk = memoryDisk()
      const random = new SeededRandom(seed)
      const boot = (): Seq =>
        new EpochIsn(random, raiseEpoch('epoch', disk)).next(HERE, 5_000, THERE, 80, seconds(random.below(100_000)))
      const numbers = [boot(), boot(), boot()]
      expect(seqDiff(numbers[1]!, numbers[0]!)).toBeGreaterThan(0)
      expect(seqDiff(numbers[2]!, numbers[1]!)).toBeGreaterThan(0)
    }
  })

  test('of hosts with isn: { epochFile } give their connections such numbers', async () => {
    const path = fresh()
    const boot = async (): Promise<Seq> => {
      const addresses = [new IpPrefix(HERE, 24)]
      const osAddresses = [new IpPrefix(THERE, 24)]
      const host = await Host.open({ link: 'mem', addresses, osAddresses, isn: { epochFile: path } })
      const wanted = { remoteAddress: THERE, remotePort: 80, localPort: 5_000 }
      const { iss } = connect(host.stack.tcp, wanted, host.clock.now()).snd
      await host.close()
      return iss
    }
    const first = await boot()
    expect(seqDiff(await boot(), first)).toBeGreaterThan(0)
    expect(readFileSync(path, 'utf8')).toBe('2\n')
  })
})

describe('a crash', () => {
  const crash = new Error('the machine died')
  const real: EpochDisk = {
    read: (path) => (existsSync(path) ? readFileSync(path, 'utf8') : null),
    write: (path, text) => writeFileSync(path, text),
    rename: (from, to) => {
      writeFileSync(to, readFileSync(from))
      rmSync(from)
    },
  }
  const dying: readonly [string, Partial<EpochDisk>][] = [
    ['before anything is written', { write: fail }],
    ['while the new file is written', { write: failHalfway }],
    ['before the new file takes its place', { rename: fail }],
  ]
  function fail(): never {
    throw crash
  }
  function failHalfway(path: string): never {
    writeFileSync(path, '4')
    return fail()
  }

  test.each(dying)('%s leaves the number of the boot before, and the next goes on', (_, dies) => {
    const path = fresh()
    writeFileSync(path, '41\n')
    expect(() => raiseEpoch(path, { ...real, ...dies })).toThrow('the machine died')
    expect(readFileSync(path, 'utf8')).toBe('41\n')
    expect(raiseEpoch(path)).toBe(42)
  })

  test('cannot give a number back that a connection has had: it is in its place before any has it', () => {
    const path = fresh()
    const steps: string[] = []
    const epoch = raiseEpoch(path, {
      read: real.read,
      write: (to, text) => {
        steps.push(`write ${text.trim()}`)
        real.write(to, text)
      },
      rename: (from, to) => {
        steps.push('rename')
        real.rename(from, to)
      },
    })
    expect([epoch, ...steps]).toEqual([1, 'write 1', 'rename'])
    expect(readFileSync(path, 'utf8')).toBe('1\n')
  })
})

describe('a file that cannot be used is told in one sentence', () => {
  const sentence = (path: string): string => {
    try {
      raiseEpoch(path)
    } catch (error) {
      expect(error).toBeInstanceOf(EnvironmentError)
      return (error as Error).message
    }
    return 'none'
  }

  test.each(['', 'abc', '-1', '1.5', '12 13', '9'.repeat(16)])("that holds '%s': and is left as it was", (text) => {
    const path = fresh()
    writeFileSync(path, text)
    expect(sentence(path)).toMatch(/^the epoch file .*: it holds no number of a boot\. To mend it: write one into it/)
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  test('that has no end', () => {
    expect(sentence('/dev/zero')).toMatch(/cannot be read: it is longer than 64 bytes\. To mend it/)
  })

  test('that is a folder, and one in no folder', () => {
    const path = fresh()
    mkdirSync(path)
    expect(sentence(path)).toMatch(/cannot be read: EISDIR.*To mend it: name a file/)
    expect(sentence(join(folder, 'nowhere', 'epoch'))).toMatch(/cannot be written: ENOENT.*To mend it: name a file/)
  })
})

describe('the choice', () => {
  test('hashed is the stack’s own, random is by increments', () => {
    expect(isnOf('hashed', new SeededRandom(1))).toBeUndefined()
    expect(isnOf('random', new SeededRandom(1))).toBeInstanceOf(RandomIncrementIsn)
  })

  test('hourglass up --isn epoch:FILE raises it, and says what is wrong with another word', () => {
    const path = fresh()
    const up = (isn: string) =>
      hourglass(`up --link mem --address 10.0.0.1/24 --no-control --duration 0.01 --isn ${isn}`)
    expect(up(`epoch:${path}`)).toMatchObject({ code: 0 })
    expect(up(`epoch:${path}`)).toMatchObject({ code: 0 })
    expect(readFileSync(path, 'utf8')).toBe('2\n')
    expect(up('clock')).toMatchObject({ code: 2, stderr: expect.stringContaining('give hashed, random or epoch:FILE') })
    writeFileSync(path, 'x')
    expect(up(`epoch:${path}`)).toMatchObject({ code: 3, stderr: expect.stringContaining('holds no number of a boot') })
  })
})
