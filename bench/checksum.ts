// The Internet checksum of src/wire/checksum.ts against the plain loops that one would write instead.

import { type Page, PagePool } from '../src/buf/page.ts'
import { fold, sumOctets, swap16 } from '../src/wire/checksum.ts'
import type { Bench, Figure, Result } from './figure.ts'
import { type Contestant, race } from './timing.ts'

const SIZES = [64, 1_460, 65_535]
const LIMIT_NS_1460 = 350
/** Of the best plain loop's speed. */
const LEAST_SPEED = 0.5

export const checksumBench: Bench = {
  name: 'checksum',
  summary: 'the Internet checksum against plain loops',
  run: checksum,
}

function checksum(): Result {
  const page = new PagePool().take(65_536 + 4)!
  for (let index = 0; index < page.size; index++) page.bytes[index] = (index * 167 + (index >> 8)) & 0xff
  const figures: Figure[] = []
  for (const size of SIZES) {
    figures.push(...compare(page, 0, size, 'aligned'))
    figures.push(...compare(page, 2, size, 'at 2 of 4'))
    figures.push(...compare(page, 1, size, 'odd'))
  }
  return {
    figures,
    notes: [
      'speed: the best plain loop divided by ours, in the same rounds; 1 is as fast.',
      'Uint16Array and Uint32Array loops need even and aligned addresses: at others they do not take part.',
    ],
    skipped: '',
  }
}

function compare(page: Page, at: number, size: number, where: string): Figure[] {
  const halves = new Uint16Array(page.bytes.buffer, page.bytes.byteOffset, page.size >>> 1)
  const loops: [string, () => number, boolean][] = [
    ['byte loop', () => sumBytes(page.bytes, at, size), true],
    ['DataView loop', () => sumDataView(page.view, at, size), true],
    ['Uint16Array loop', () => sumHalves(halves, page.bytes, at, size), at % 2 === 0],
    ['Uint32Array loop', () => sumWords(page.words, page.bytes, at, size), at % 4 === 0],
  ]
  const able = loops.filter(([, , fits]) => fits)
  const expected = fold(sumOctets(page, at, size))
  for (const [name, sum] of able) {
    if (fold(sum()) !== expected) throw new Error(`${name}: another checksum of ${size} bytes at ${at}`)
  }
  const contestants = [
    contestant('sumOctets', () => sumOctets(page, at, size)),
    ...able.map(([name, sum]) => contestant(name, sum)),
  ]
  const times = race(contestants, { rounds: 11, roundMillis: 4, warmupMillis: 40 })
  const ours = times.get('sumOctets')!
  const best = Math.min(...able.map(([name]) => times.get(name)!))
  const what = `${size.toLocaleString('en-US')} bytes, ${where}`
  const limited = size === 1_460 && at === 0 ? { bound: { atMost: LIMIT_NS_1460 } } : {}
  return [
    { what: `${what}: sumOctets`, value: ours, unit: 'ns', ...limited },
    ...able.map(([name]) => ({ what: `${what}: ${name}`, value: times.get(name)!, unit: 'ns' })),
    { what: `${what}: speed`, value: best / ours, unit: '×', bound: { atLeast: LEAST_SPEED } },
  ]
}

function contestant(name: string, sum: () => number): Contestant {
  return {
    name,
    run(count) {
      let total = 0
      for (let index = 0; index < count; index++) total += sum()
      return total
    },
  }
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
const toNetworkOrder = (sum: number): number => (LITTLE_ENDIAN ? swap16(fold(sum)) : sum)

function sumBytes(bytes: Uint8Array, at: number, length: number): number {
  let sum = 0
  const end = at + length
  const pairs = at + (length & ~1)
  let index = at
  for (; index < pairs; index += 2) sum += (bytes[index]! << 8) | bytes[index + 1]!
  if (index < end) sum += bytes[index]! << 8
  return sum
}

function sumDataView(view: DataView, at: number, length: number): number {
  let sum = 0
  const end = at + length
  const pairs = at + (length & ~1)
  let index = at
  for (; index < pairs; index += 2) sum += view.getUint16(index)
  if (index < end) sum += view.getUint8(index) << 8
  return sum
}

function sumHalves(halves: Uint16Array, bytes: Uint8Array, at: number, length: number): number {
  let sum = 0
  const end = (at + length) >>> 1
  for (let index = at >>> 1; index < end; index++) sum += halves[index]!
  return toNetworkOrder(sum) + lastByte(bytes, at, length)
}

function sumWords(words: Uint32Array, bytes: Uint8Array, at: number, length: number): number {
  let sum = 0
  const end = (at + length) >>> 2
  for (let index = at >>> 2; index < end; index++) sum += words[index]!
  let rest = 0
  for (let index = end << 2; index < at + (length & ~1); index += 2) rest += (bytes[index]! << 8) | bytes[index + 1]!
  return toNetworkOrder(sum) + rest + lastByte(bytes, at, length)
}

const lastByte = (bytes: Uint8Array, at: number, length: number): number =>
  (length & 1) === 1 ? bytes[at + length - 1]! << 8 : 0
