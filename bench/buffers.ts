// What pages and packets cost, and whether LOOP_COPY_BYTES of src/buf/page.ts is where a loop stops beating `set`.

import { Packet } from '../src/buf/packet.ts'
import { LOOP_COPY_BYTES, PagePool, SMALL_PAGE } from '../src/buf/page.ts'
import type { Bench, Figure } from './figure.ts'
import { type Contestant, race } from './timing.ts'

const COPY_SIZES = [8, 16, 24, 32, 40, 48, 64, 96, 128, 1_460]
/** A constant within this factor of the measured crossing is well chosen: the two ways cost nearly the same there. */
const CROSSING_FACTOR = 4

export const buffersBench: Bench = {
  name: 'buffers',
  summary: 'pages and packets: take, clone, slice, copy; loop against set',
  run: () => ({
    figures: [...operations(), ...copies()],
    notes: [
      'loop: byte by byte. set: with a view kept from before (the cached window). new view: subarray, then set. words: four bytes at a time, where both sides are aligned.',
      'Nothing of a page is cleared when it is taken or given back: hence no difference between small and large.',
      `crossing: the smallest size at which set with a new view is no slower than the loop; LOOP_COPY_BYTES is ${LOOP_COPY_BYTES}.`,
    ],
    skipped: '',
  }),
}

function operations(): Figure[] {
  const pool = new PagePool()
  const packet = Packet.from(pool, new Uint8Array(1_400))!
  const loop = (name: string, once: () => number): Contestant => ({
    name,
    run(count) {
      let sum = 0
      for (let index = 0; index < count; index++) sum += once()
      return sum
    },
  })
  const released = (made: Packet | null): number => {
    const { length } = made!
    made!.release()
    return length
  }
  const times = race([
    loop('page: take and release', () => {
      const page = pool.take(SMALL_PAGE)!
      page.release()
      return page.size
    }),
    loop('packet: allocate and release', () => released(Packet.allocate(pool, 1_400))),
    loop('packet of 64 KiB: allocate and release', () => released(Packet.allocate(pool, 65_535))),
    loop('packet: clone and release', () => released(packet.clone())),
    loop('packet: slice 700 bytes and release', () => released(packet.slice(pool, 300, 700))),
    loop('packet: copy 1,400 bytes and release', () => released(packet.copy(pool))),
    loop('for comparison: new Uint8Array(2048)', () => new Uint8Array(2_048).length),
    loop('for comparison: subarray', () => packet.page.bytes.subarray(0, 1_400).length),
  ])
  packet.release()
  if (pool.inUse !== 0) throw new Error(`${pool.inUse} pages were not given back`)
  return [...times].map(([what, value]) => ({ what, value, unit: 'ns' }))
}

function copies(): Figure[] {
  const pool = new PagePool()
  const page = pool.take(SMALL_PAGE)!
  const target = new Uint8Array(2_048)
  const targetWords = new Uint32Array(target.buffer)
  const figures: Figure[] = []
  let crossing = Number.POSITIVE_INFINITY
  for (const size of COPY_SIZES) {
    const source = page.bytes.subarray(100, 100 + size)
    const times = race([
      { name: 'loop', run: (count) => repeat(count, () => copyByLoop(page.bytes, 100, size, target)) },
      { name: 'set', run: (count) => repeat(count, () => copyBySet(source, target)) },
      {
        name: 'new view',
        run: (count) => repeat(count, () => copyBySet(page.bytes.subarray(100, 100 + size), target)),
      },
      { name: 'words', run: (count) => repeat(count, () => copyByWords(page.words, 25, size, targetWords)) },
    ])
    for (const [name, value] of times) figures.push({ what: `copy ${size} bytes: ${name}`, value, unit: 'ns' })
    if (crossing === Number.POSITIVE_INFINITY && times.get('new view')! <= times.get('loop')!) crossing = size
  }
  page.release()
  const off = Math.max(crossing / LOOP_COPY_BYTES, LOOP_COPY_BYTES / crossing)
  figures.push({ what: 'crossing of loop and new view', value: crossing, unit: 'bytes' })
  figures.push({ what: 'crossing against LOOP_COPY_BYTES', value: off, unit: '×', bound: { atMost: CROSSING_FACTOR } })
  return figures
}

function repeat(count: number, once: () => number): number {
  let sum = 0
  for (let index = 0; index < count; index++) sum += once()
  return sum
}

function copyByLoop(from: Uint8Array, at: number, length: number, target: Uint8Array): number {
  for (let index = 0; index < length; index++) target[10 + index] = from[at + index]!
  return length
}

function copyByWords(from: Uint32Array, at: number, length: number, target: Uint32Array): number {
  const count = length >>> 2
  for (let index = 0; index < count; index++) target[index] = from[at + index]!
  return length
}

function copyBySet(source: Uint8Array, target: Uint8Array): number {
  target.set(source, 10)
  return source.length
}
