import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/assert.ts'
import { HEADROOM, Packet } from '../../src/buf/packet.ts'
import { LARGE_PAGE, type PagePool, SMALL_PAGE } from '../../src/buf/page.ts'
import { testPool } from '../support/pool.ts'

/** A packet and the plain array that it must equal. */
interface Pair {
  real: Packet
  model: number[]
}

interface World {
  pool: PagePool
  pairs: Pair[]
  /** Marks bytes, so that one written by mistake shows. */
  mark: number
}

const agree = (world: World): void => {
  for (const { real, model } of world.pairs) {
    expect(real.length).toBe(model.length)
    expect([...real.toBytes()]).toEqual(model)
    expect(real.headLength + real.fragmentBytes).toBe(real.length)
    let charged = real.page.size
    for (const { page } of real.fragments) charged += page.size
    expect(real.chargedBytes).toBe(charged)
  }
}

/** Writes to the linear part and to the model alike. */
const fill = (world: World, pair: Pair, at: number, length: number, modelAt: number): void => {
  for (let index = 0; index < length; index++) {
    world.mark = (world.mark + 1) & 0xff
    pair.real.page.bytes[at + index] = world.mark
    pair.model[modelAt + index] = world.mark
  }
}

type Step = (world: World, pick: number, n: number) => void

const pickPair = (world: World, pick: number): Pair => world.pairs[pick % world.pairs.length]!

const steps: Record<string, Step> = {
  push(world, pick, n) {
    const pair = pickPair(world, pick)
    if (n > pair.real.data) expect(() => pair.real.push(n)).toThrow('headroom')
    else if (pair.real.page.references > 1) expect(() => pair.real.push(n)).toThrow('shared')
    else {
      pair.model.unshift(...new Array<number>(n).fill(0))
      fill(world, pair, pair.real.push(n), n, 0)
    }
  },
  pull(world, pick, n) {
    const pair = pickPair(world, pick)
    if (n > pair.real.headLength) expect(() => pair.real.pull(n)).toThrow(AssertionError)
    else {
      expect(pair.real.pull(n)).toBe(pair.real.data)
      pair.model.splice(0, n)
    }
  },
  put(world, pick, n) {
    const pair = pickPair(world, pick)
    const { real } = pair
    if (real.fragmentBytes > 0 || real.tail + n > real.page.size || real.page.references > 1) {
      expect(() => real.put(n)).toThrow(AssertionError)
    } else fill(world, pair, real.put(n), n, pair.model.length)
  },
  trim(world, pick, n) {
    const pair = pickPair(world, pick)
    if (n > pair.real.length) expect(() => pair.real.trim(n)).toThrow(AssertionError)
    else {
      pair.real.trim(n)
      pair.model.length = n
    }
  },
  clone(world, pick) {
    const { real, model } = pickPair(world, pick)
    world.pairs.push({ real: real.clone(), model: [...model] })
  },
  copy(world, pick) {
    const { real, model } = pickPair(world, pick)
    const twin = real.copy(world.pool)!
    expect(twin.page.references).toBe(1)
    expect(twin.fragments).toEqual([])
    world.pairs.push({ real: twin, model: [...model] })
  },
  slice(world, pick, n) {
    const { real, model } = pickPair(world, pick)
    const at = Math.min(n, real.length)
    const length = Math.floor((real.length - at) / 2)
    world.pairs.push({ real: real.slice(world.pool, at, length)!, model: model.slice(at, at + length) })
  },
  share(world, pick, n) {
    const from = pickPair(world, pick)
    const to = pickPair(world, pick + 1)
    if (from === to) return
    const at = Math.min(n, from.real.length)
    from.real.share(to.real, at, from.real.length - at)
    to.model.push(...from.model.slice(at))
  },
  append(world, pick) {
    if (world.pairs.length < 2) return
    const to = pickPair(world, pick)
    const from = pickPair(world, pick + 1)
    to.real.append(from.real)
    to.model.push(...from.model)
    world.pairs = world.pairs.filter((pair) => pair !== from)
  },
  linearize(world, pick, n) {
    const { real } = pickPair(world, pick)
    const fits = n <= real.length
    expect(real.linearize(n)).toBe(fits)
    if (fits) expect(real.headLength).toBeGreaterThanOrEqual(n)
  },
  unshare(world, pick) {
    const pair = pickPair(world, pick)
    expect(pair.real.unshare()).toBe(true)
    expect(pair.real.page.references).toBe(1)
    fill(world, pair, pair.real.data, pair.real.headLength, 0)
  },
  release(world, pick) {
    if (world.pairs.length < 2) return
    const gone = pickPair(world, pick)
    gone.real.release()
    world.pairs = world.pairs.filter((pair) => pair !== gone)
  },
}

const names = Object.keys(steps)

class StepCommand implements fc.Command<World, World> {
  readonly name: string
  readonly pick: number
  readonly n: number

  constructor(name: string, pick: number, n: number) {
    this.name = name
    this.pick = pick
    this.n = n
  }

  check(): boolean {
    return true
  }

  run(world: World): void {
    // Sharing doubles: keep the packets of one run within one large page each.
    if (world.pairs.length > 8 && /clone|copy|slice/.test(this.name)) return
    if (/share|append/.test(this.name) && world.pairs.some(({ model }) => model.length > 8_000)) return
    steps[this.name]!(world, this.pick, this.n)
    agree(world)
  }

  toString(): string {
    return `${this.name}(${this.pick}, ${this.n})`
  }
}

describe('Packet', () => {
  it('equals a plain array, whatever is done to it and to packets that share its pages', () => {
    const commands = fc.commands(
      [
        fc
          .tuple(fc.constantFrom(...names), fc.nat(100), fc.oneof(fc.nat(64), fc.nat(3_000)))
          .map(([name, pick, n]) => new StepCommand(name, pick, n)),
      ],
      { maxCommands: 60 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1_500 }), commands, (bytes, program) => {
        const pool = testPool()
        const world: World = { pool, pairs: [{ real: Packet.from(pool, bytes)!, model: [...bytes] }], mark: 0 }
        try {
          fc.modelRun(() => ({ model: world, real: world }), program)
        } finally {
          for (const { real } of world.pairs) real.release()
        }
        expect(pool.inUse).toBe(0)
        expect(pool.inUseBytes).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  it('keeps headers that were pulled readable at networkAt, in a copy and after unshare()', () => {
    const pool = testPool()
    const packet = Packet.from(
      pool,
      Uint8Array.from({ length: 60 }, (_, index) => index),
    )!
    packet.networkAt = packet.data
    packet.transportAt = packet.data + 20
    packet.pull(40)
    const copy = packet.copy(pool)!
    const clone = packet.clone()
    expect(clone.unshare()).toBe(true)
    for (const twin of [copy, clone]) {
      expect([...twin.page.bytes.subarray(twin.networkAt, twin.networkAt + 60)]).toEqual(
        Array.from({ length: 60 }, (_, index) => index),
      )
      expect(twin.transportAt - twin.networkAt).toBe(20)
    }
    packet.release()
    copy.release()
    clone.release()
  })

  it('keeps header offsets true when the head moves to another page', () => {
    const pool = testPool()
    const packet = Packet.allocate(pool, 1_000)!
    packet.page.bytes.set([1, 2, 3, 4], packet.put(4))
    const payload = Packet.from(pool, new Uint8Array(60_000).fill(9))!
    packet.networkAt = packet.data
    packet.checksumStart = packet.data + 1
    packet.checksumField = packet.data + 2
    packet.append(payload)
    expect(packet.linearize(60_004)).toBe(true)
    expect(packet.page.size).toBe(LARGE_PAGE)
    const { bytes } = packet.page
    expect([bytes[packet.networkAt], bytes[packet.checksumStart], bytes[packet.checksumField]]).toEqual([1, 2, 3])
    packet.release()
  })

  it('gives up headroom, 4 bytes at a time, where a copy would not fit behind it', () => {
    const pool = testPool()
    const packet = Packet.allocate(pool, SMALL_PAGE - HEADROOM)!
    packet.put(1_000)
    const rest = Packet.from(pool, new Uint8Array(66_500))!
    packet.append(rest)
    const copy = packet.copy(pool)!
    expect(copy.length).toBe(67_500)
    expect(copy.data).toBeLessThan(HEADROOM)
    expect(copy.data % 4).toBe(0)
    packet.release()
    copy.release()
  })

  it('refuses to write into a page that a clone holds too, until unshare()', () => {
    const packet = Packet.from(testPool(), new Uint8Array(10))!
    const clone = packet.clone()
    expect(() => packet.push(1)).toThrow('push into a shared page')
    expect(() => clone.put(1)).toThrow('put into a shared page')
    clone.unshare()
    clone.page.bytes[clone.data] = 1
    expect(packet.page.bytes[packet.data]).toBe(0)
    packet.push(1)
    packet.release()
    clone.release()
  })

  it('asserts that it is released once, and not while it is in a queue', () => {
    const pool = testPool()
    const packet = Packet.from(pool, new Uint8Array(1))!
    const other = Packet.from(pool, new Uint8Array(1))!
    packet.next = other
    expect(() => packet.release()).toThrow('a queued packet')
    packet.next = null
    packet.release()
    other.release()
    expect(() => packet.release()).toThrow('released twice')
  })

  it('leaves everything as it was where the pool is empty', () => {
    const pool = testPool({ limitBytes: 2 * SMALL_PAGE })
    const packet = Packet.from(pool, Uint8Array.of(1, 2, 3))!
    const other = Packet.from(pool, Uint8Array.of(4, 5))!
    packet.append(other)
    const clone = packet.clone()
    expect(Packet.allocate(pool, 10)).toBeNull()
    expect(packet.copy(pool)).toBeNull()
    expect(packet.slice(pool, 0, 2)).toBeNull()
    expect(clone.unshare()).toBe(false)
    expect(clone.linearize(5)).toBe(false)
    expect([...clone.toBytes()]).toEqual([1, 2, 3, 4, 5])
    expect(pool.failures).toBe(5)
    packet.release()
    clone.release()
  })
})
