// What a million packets leave behind, and what each costs on the heap. Two ways, for neither sees everything:
// the heap as V8 counts it, on the code as it is; and an exact count of typed arrays, views and buffers, with every
// constructor and method that makes one replaced by one that counts.

import type { Bench, Figure, Result } from './figure.ts'
import { BATCH, Pair } from './pair.ts'
import { median } from './timing.ts'

const PACKETS = 1_000_000
/** Packets between two looks at the heap: few enough that most looks find no collection in between. */
const LOOK = 512
const LOOKS = 1_000
/** Of a pool's first slab: how many pages can meet a new size. */
const PAGES = 256
const KIBIBYTE = 1_024

export const memoryBench: Bench = {
  name: 'memory',
  summary: 'what a million packets leave behind, and typed arrays made for each',
  run: memory,
}

const uniform = (size: number): Uint8Array[] => [new Uint8Array(size).fill(0x5a)]
/** Sizes as they come, all of them different: no page is asked for the same window twice in a row. */
const mixed = Array.from({ length: 251 }, (_, index) => new Uint8Array(40 + ((index * 97) % 1_361)).fill(0x5a))

function memory(): Result {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('memory needs node --expose-gc, as npm run bench gives it')
  const figures = [...growth(gc), ...flood(gc), ...churn(), ...constructed()]
  return {
    figures,
    notes: [
      'growth: process.memoryUsage() after a full collection, before and after; slabs: what the pool ever cut.',
      `heap: bytes by which heapUsed grew over ${LOOK} packets, median of those of ${LOOKS} looks that no collection fell into; the control makes one subarray more for each packet.`,
      'made: counted exactly, in a run of its own, by replacing the constructors of the typed arrays, DataView and ArrayBuffer and the methods subarray and slice; the control shows that the count counts.',
      'sizes as they come: 251 payloads of 40 to 1,400 bytes in turn. A page keeps the last two windows it was asked for; a third length makes a new view: 36 ns, 96 bytes, and still faster than copying by words, which makes none (bench buffers).',
    ],
    skipped: '',
  }
}

function growth(gc: () => void): Figure[] {
  const pair = new Pair('cable')
  pair.exchange(uniform(1_400), 50_000)
  gc()
  const before = process.memoryUsage()
  const slabs = pair.pool.slabBytes
  pair.exchange(uniform(1_400), PACKETS)
  gc()
  const after = process.memoryUsage()
  const grown = pair.pool.slabBytes - slabs
  pair.close()
  return [
    figure('growth over 1,000,000 packets: heap', (after.heapUsed - before.heapUsed) / KIBIBYTE, 'KiB', 512),
    figure(
      'growth over 1,000,000 packets: array buffers',
      (after.arrayBuffers - before.arrayBuffers) / KIBIBYTE,
      'KiB',
      0,
    ),
    figure('growth over 1,000,000 packets: slabs', grown / KIBIBYTE, 'KiB', 0),
  ]
}

/** A receiver that does not read: its queue is full, and nothing grows any more. */
function flood(gc: () => void): Figure[] {
  const pair = new Pair('cable')
  pair.flood(uniform(64)[0]!, 50_000)
  gc()
  const before = process.memoryUsage()
  const slabs = pair.pool.slabBytes
  const peak = pair.pool.peakBytes
  pair.flood(uniform(64)[0]!, PACKETS)
  gc()
  const after = process.memoryUsage()
  const figures = [
    figure('flood of 1,000,000 unread: heap', (after.heapUsed - before.heapUsed) / KIBIBYTE, 'KiB', 512),
    figure('flood of 1,000,000 unread: slabs', (pair.pool.slabBytes - slabs) / KIBIBYTE, 'KiB', 0),
    figure('flood of 1,000,000 unread: peak of pages', (pair.pool.peakBytes - peak) / KIBIBYTE, 'KiB', 0),
  ]
  pair.drain()
  pair.close()
  return figures
}

function churn(): Figure[] {
  const pair = new Pair('cable')
  const bytes = new Uint8Array(2_048)
  const views: Uint8Array[] = []
  const one = (payloads: readonly Uint8Array[], control: boolean): number => {
    pair.exchange(payloads, 50_000)
    const grown: number[] = []
    for (let look = 0; look < LOOKS; look++) {
      const before = process.memoryUsage().heapUsed
      pair.exchange(payloads, LOOK)
      if (control) for (let index = 0; index < LOOK; index++) views[index & 7] = bytes.subarray(index, 1_500)
      const difference = process.memoryUsage().heapUsed - before
      if (difference >= 0) grown.push(difference / LOOK)
    }
    return median(grown)
  }
  const idle = idleGrowth()
  const figures = [
    { what: 'heap for each packet, 64 bytes', value: one(uniform(64), false) - idle, unit: 'bytes' },
    { what: 'heap for each packet, 1,400 bytes', value: one(uniform(1_400), false) - idle, unit: 'bytes' },
    { what: 'heap for each packet, sizes as they come', value: one(mixed, false) - idle, unit: 'bytes' },
    { what: 'control: 1,400 bytes and one subarray more', value: one(uniform(1_400), true) - idle, unit: 'bytes' },
  ]
  pair.close()
  return figures
}

/** What looking itself costs, for each packet. */
function idleGrowth(): number {
  const grown: number[] = []
  for (let look = 0; look < LOOKS; look++) {
    const before = process.memoryUsage().heapUsed
    const difference = process.memoryUsage().heapUsed - before
    if (difference >= 0) grown.push(difference / LOOK)
  }
  return median(grown)
}

function constructed(): Figure[] {
  const pair = new Pair('cable')
  const warm = (payloads: readonly Uint8Array[]): void => void pair.exchange(payloads, 50_000)
  const counter = countConstructions()
  try {
    const per = (payloads: readonly Uint8Array[], count: number): number => {
      warm(payloads)
      counter.made = 0
      if (pair.exchange(payloads, count) !== count) throw new Error('datagrams were lost')
      return counter.made
    }
    const small = per(uniform(64), PACKETS)
    const large = per(uniform(1_400), PACKETS)
    const two = per([uniform(40)[0]!, uniform(1_400)[0]!], PACKETS)
    const any = per(mixed, BATCH * 4_000) / (BATCH * 4_000)
    counter.made = 0
    for (let index = 0; index < 1_000; index++) new Uint8Array(new ArrayBuffer(8)).subarray(1)
    const control = counter.made
    return [
      figure('made over 1,000,000 packets, 64 bytes', small, 'views and buffers', 0),
      figure('made over 1,000,000 packets, 1,400 bytes', large, 'views and buffers', 0),
      // Once for each page of the pool that meets the second size for the first time.
      figure('made over 1,000,000 packets, 40 and 1,400 bytes in turn', two, 'views and buffers', PAGES),
      figure('made for each packet, sizes as they come', any, 'views and buffers', 0),
      { what: 'control: 1,000 times a buffer, an array of it, a subarray', value: control, unit: 'views and buffers' },
    ]
  } finally {
    counter.undo()
    pair.close()
  }
}

/** Replaces what makes typed arrays, views and buffers by what counts as well. */
function countConstructions(): { made: number; undo: () => void } {
  const counter = { made: 0, undo: () => {} }
  const scope = globalThis as unknown as Record<string, new (...values: unknown[]) => object>
  const undo: (() => void)[] = []
  for (const name of CONSTRUCTORS) {
    const original = scope[name]!
    scope[name] = new Proxy(original, {
      construct(target, values, newTarget) {
        counter.made++
        return Reflect.construct(target, values, newTarget) as object
      },
    })
    undo.push(() => {
      scope[name] = original
    })
  }
  const prototypes = [Object.getPrototypeOf(Uint8Array.prototype) as object, ArrayBuffer.prototype]
  for (const prototype of prototypes) {
    for (const name of ['subarray', 'slice', 'map', 'filter']) {
      const original = Object.getOwnPropertyDescriptor(prototype, name)
      if (original === undefined) continue
      const method = original.value as (...values: unknown[]) => unknown
      const counting = function (this: unknown, ...values: unknown[]): unknown {
        counter.made++
        return method.apply(this, values)
      }
      Object.defineProperty(prototype, name, { ...original, value: counting })
      undo.push(() => Object.defineProperty(prototype, name, original))
    }
  }
  counter.undo = () => {
    for (const one of undo) one()
  }
  return counter
}

const CONSTRUCTORS = [
  'ArrayBuffer',
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]

const figure = (what: string, value: number, unit: string, atMost: number): Figure => ({
  what,
  value,
  unit,
  bound: { atMost },
})
