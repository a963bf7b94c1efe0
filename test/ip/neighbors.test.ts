import { describe, expect, test } from 'vitest'
import { Packet } from '../../src/buf/packet.ts'
import { LARGE_PAGE, SMALL_PAGE } from '../../src/buf/page.ts'
import { Counters } from '../../src/counters.ts'
import { NetError } from '../../src/errors.ts'
import {
  type Advertisement,
  NEIGHBOR_LIMIT,
  type Neighbor,
  NeighborCache,
  type NeighborState,
} from '../../src/ip/neighbors.ts'
import { SeededRandom } from '../../src/random.ts'
import { type Micros, millis, NEVER, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import type { MacAddress } from '../../src/wire/ethernet.ts'
import { mac } from '../support/messages.ts'
import { testPool } from '../support/pool.ts'

const SEED = 0x4861
const OLD = mac(1)
const NEW = mac(2)

/** A cache with a link that writes down what it is asked to do. */
function cacheFor(seed = SEED) {
  const pool = testPool()
  const counters = new Counters()
  const asked: { target: IpAddress; mac: MacAddress | null; at: Micros }[] = []
  const sent: number[] = []
  const failed: number[] = []
  const cache = new NeighborCache(
    {
      solicit: (target, to, at) => void asked.push({ target, mac: to, at }),
      release: (packet) => {
        sent.push(numberOf(packet))
        packet.release()
      },
      unreachable: (packet) => void failed.push(numberOf(packet)),
    },
    new SeededRandom(seed),
    counters,
  )
  let now = 1 as Micros
  const numbered = (number: number, capacity = 64): Packet => {
    const packet = Packet.allocate(pool, capacity)!
    packet.page.view.setUint32(packet.put(4), number)
    return packet
  }
  return {
    pool,
    cache,
    counters,
    asked,
    sent,
    failed,
    now: () => now,
    /** True where the packet may go at once. */
    send: (address: IpAddress, number = 0, capacity = 64): boolean => {
      const packet = numbered(number, capacity)
      const to = cache.resolve(address, packet, now)
      if (to !== null) packet.release()
      return to !== null
    },
    run: (length: Micros): void => {
      const until = (now + length) as Micros
      while (cache.deadline() <= until) {
        if (cache.deadline() > now) now = cache.deadline()
        cache.poll(now)
      }
      now = until
    },
  }
}

const numberOf = (packet: Packet): number => packet.page.view.getUint32(packet.data)

type Rig = ReturnType<typeof cacheFor>

/** Brings an entry with the MAC address OLD into the state. */
function enter(rig: Rig, address: IpAddress, state: NeighborState): Neighbor {
  const { cache } = rig
  if (state === 'INCOMPLETE') rig.send(address, 1)
  else if (state === 'PERMANENT') cache.setPermanent(address, OLD, rig.now())
  else {
    cache.learn(address, OLD)
    if (state === 'REACHABLE') cache.confirm(address, rig.now())
    if (state === 'DELAY' || state === 'PROBE') rig.send(address)
    if (state === 'PROBE') rig.run(seconds(5))
  }
  const neighbor = cache.get(address)!
  expect(neighbor.state).toBe(state)
  return neighbor
}

const PLAIN: Advertisement = { mac: NEW, solicited: false, override: false, isRouter: false }

describe.each([
  ['ARP', IpAddress.from('10.0.0.2')],
  ['NDP', IpAddress.from('fe80::2')],
])('RFC 4861 §7.3.2 and appendix C, for %s', (_name, address) => {
  test.each<[NeighborState, string, Partial<Advertisement>, NeighborState, MacAddress]>([
    ['INCOMPLETE', 'unsolicited, any override', {}, 'STALE', NEW],
    ['INCOMPLETE', 'unsolicited, override', { override: true }, 'STALE', NEW],
    ['INCOMPLETE', 'solicited', { solicited: true }, 'REACHABLE', NEW],
    ['INCOMPLETE', 'solicited, override', { solicited: true, override: true }, 'REACHABLE', NEW],
    ['REACHABLE', 'solicited, no override, other MAC', { solicited: true }, 'STALE', OLD],
    ['STALE', 'solicited, no override, other MAC', { solicited: true }, 'STALE', OLD],
    ['DELAY', 'solicited, no override, other MAC', { solicited: true }, 'DELAY', OLD],
    ['PROBE', 'solicited, no override, other MAC', { solicited: true }, 'PROBE', OLD],
    ['REACHABLE', 'solicited, same MAC', { solicited: true, mac: OLD }, 'REACHABLE', OLD],
    ['STALE', 'solicited, same MAC', { solicited: true, mac: OLD }, 'REACHABLE', OLD],
    ['DELAY', 'solicited, same MAC', { solicited: true, mac: OLD }, 'REACHABLE', OLD],
    ['PROBE', 'solicited, same MAC', { solicited: true, mac: OLD }, 'REACHABLE', OLD],
    ['REACHABLE', 'solicited, override, other MAC', { solicited: true, override: true }, 'REACHABLE', NEW],
    ['STALE', 'solicited, override, other MAC', { solicited: true, override: true }, 'REACHABLE', NEW],
    ['DELAY', 'solicited, override, other MAC', { solicited: true, override: true }, 'REACHABLE', NEW],
    ['PROBE', 'solicited, override, other MAC', { solicited: true, override: true }, 'REACHABLE', NEW],
    ['STALE', 'unsolicited, no override, other MAC', {}, 'STALE', OLD],
    ['DELAY', 'unsolicited, no override, other MAC', {}, 'DELAY', OLD],
    ['PROBE', 'unsolicited, no override, other MAC', {}, 'PROBE', OLD],
    ['REACHABLE', 'unsolicited, override, same MAC', { override: true, mac: OLD }, 'REACHABLE', OLD],
    ['STALE', 'unsolicited, override, same MAC', { override: true, mac: OLD }, 'STALE', OLD],
    ['DELAY', 'unsolicited, override, same MAC', { override: true, mac: OLD }, 'DELAY', OLD],
    ['PROBE', 'unsolicited, override, same MAC', { override: true, mac: OLD }, 'PROBE', OLD],
    ['REACHABLE', 'unsolicited, override, other MAC', { override: true }, 'STALE', NEW],
    ['STALE', 'unsolicited, override, other MAC', { override: true }, 'STALE', NEW],
    ['DELAY', 'unsolicited, override, other MAC', { override: true }, 'STALE', NEW],
    ['PROBE', 'unsolicited, override, other MAC', { override: true }, 'STALE', NEW],
    ['PROBE', 'unsolicited, no MAC', { mac: null }, 'PROBE', OLD],
    ['PROBE', 'solicited, no MAC', { mac: null, solicited: true }, 'REACHABLE', OLD],
    ['PERMANENT', 'solicited, override, other MAC', { solicited: true, override: true }, 'PERMANENT', OLD],
  ])('%s, advertisement %s', (state, _what, said, then, to) => {
    const rig = cacheFor()
    const neighbor = enter(rig, address, state)
    rig.cache.advertise(address, { ...PLAIN, ...said }, rig.now())
    expect(neighbor.state).toBe(then)
    expect(neighbor.mac).toEqual(to)
    rig.cache.clear()
  })

  test('INCOMPLETE: an advertisement without MAC address says nothing (§7.2.5)', () => {
    const rig = cacheFor()
    const neighbor = enter(rig, address, 'INCOMPLETE')
    rig.cache.advertise(address, { ...PLAIN, mac: null, solicited: true }, rig.now())
    expect(neighbor.state).toBe('INCOMPLETE')
    rig.cache.clear()
  })

  test('an unasked advertisement of a stranger makes no entry (§7.2.5)', () => {
    const rig = cacheFor()
    rig.cache.advertise(address, { ...PLAIN, solicited: true, override: true }, rig.now())
    expect(rig.cache.list()).toEqual([])
  })

  test.each<[NeighborState, MacAddress, NeighborState]>([
    ['INCOMPLETE', NEW, 'STALE'],
    ['REACHABLE', OLD, 'REACHABLE'],
    ['REACHABLE', NEW, 'STALE'],
    ['STALE', OLD, 'STALE'],
    ['STALE', NEW, 'STALE'],
    ['DELAY', OLD, 'DELAY'],
    ['DELAY', NEW, 'STALE'],
    ['PROBE', OLD, 'PROBE'],
    ['PROBE', NEW, 'STALE'],
  ])('%s, a solicitation from %s leads to %s (§7.2.3)', (state, from, then) => {
    const rig = cacheFor()
    const neighbor = enter(rig, address, state)
    rig.cache.learn(address, from)
    expect(neighbor.state).toBe(then)
    expect(neighbor.mac).toEqual(from)
    rig.cache.clear()
  })

  test('a solicitation from a stranger makes a STALE entry, a pinned one stays as it is', () => {
    const rig = cacheFor()
    expect(rig.cache.learn(address, OLD)?.state).toBe('STALE')
    rig.cache.setPermanent(address, NEW, rig.now())
    rig.cache.learn(address, OLD)
    expect(rig.cache.get(address)).toMatchObject({ state: 'PERMANENT', mac: NEW })
  })

  test('three questions a second apart, then the parked packets fail and the entry is gone', () => {
    const rig = cacheFor()
    for (const number of [1, 2, 3]) expect(rig.send(address, number)).toBe(false)
    rig.run(millis(2_999))
    expect(rig.asked.map(({ at }) => at - 1)).toEqual([0, 1_000_000, 2_000_000])
    expect(rig.asked.every((question) => question.mac === null)).toBe(true)
    expect(rig.failed).toEqual([])
    rig.run(millis(1))
    expect(rig.failed).toEqual([1, 2, 3])
    expect(rig.cache.list()).toEqual([])
    expect(rig.counters.drops.neighborUnreachable).toBe(3)
    expect(rig.cache.deadline()).toBe(NEVER)
  })

  test('parked packets leave in order as soon as the answer is there', () => {
    const rig = cacheFor()
    for (const number of [1, 2, 3]) rig.send(address, number)
    rig.cache.advertise(address, { ...PLAIN, solicited: true }, rig.now())
    expect(rig.sent).toEqual([1, 2, 3])
    expect(rig.send(address, 4)).toBe(true)
  })

  test('REACHABLE lasts 0.5 to 1.5 times the base reachable time (§6.3.2), then STALE for ever', () => {
    const lengths: number[] = []
    for (let seed = 1; seed <= 200; seed++) {
      const rig = cacheFor(seed)
      const neighbor = enter(rig, address, 'REACHABLE')
      lengths.push(rig.cache.deadline() - rig.now())
      rig.run(seconds(46))
      expect(neighbor.state, `seed ${seed}`).toBe('STALE')
      expect(rig.asked).toEqual([])
    }
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(15_000_000)
    expect(Math.min(...lengths)).toBeLessThan(17_000_000)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(45_000_000)
    expect(Math.max(...lengths)).toBeGreaterThan(43_000_000)
  })

  test('a packet to a STALE neighbour goes at once, and after 5 s without a sign of life he is asked 3 times', () => {
    const rig = cacheFor()
    const neighbor = enter(rig, address, 'STALE')
    expect(rig.send(address)).toBe(true)
    expect(neighbor.state).toBe('DELAY')
    rig.run(millis(4_999))
    expect(rig.asked).toEqual([])
    rig.run(millis(1))
    expect(neighbor.state).toBe('PROBE')
    expect(rig.send(address)).toBe(true)
    rig.run(millis(2_999))
    expect(rig.asked.map(({ mac: to }) => to)).toEqual([OLD, OLD, OLD])
    rig.run(millis(1))
    expect(rig.cache.get(address)).toBeUndefined()
    expect(rig.cache.deadline()).toBe(NEVER)
  })

  test.each<NeighborState>(['REACHABLE', 'STALE', 'DELAY', 'PROBE'])(
    '%s: a transport that makes progress is a sign of life (§7.3.1)',
    (state) => {
      const rig = cacheFor()
      const neighbor = enter(rig, address, state)
      const { length } = rig.asked
      rig.cache.confirm(address, rig.now())
      expect(neighbor.state).toBe('REACHABLE')
      rig.run(seconds(14))
      expect(rig.asked.length).toBe(length)
      expect(neighbor.confirmedAt).toBeGreaterThan(0)
    },
  )

  test('progress says nothing of who is not resolved, not known, or pinned', () => {
    const rig = cacheFor()
    rig.cache.confirm(address, rig.now())
    expect(rig.cache.list()).toEqual([])
    const neighbor = enter(rig, address, 'INCOMPLETE')
    rig.cache.confirm(address, rig.now())
    expect(neighbor.state).toBe('INCOMPLETE')
    rig.cache.setPermanent(address, OLD, rig.now())
    expect(rig.sent).toEqual([1])
    rig.cache.confirm(address, rig.now())
    rig.run(seconds(100_000))
    expect(neighbor.state).toBe('PERMANENT')
    expect(rig.asked.length).toBe(1)
  })

  test('the router flag follows advertisements, but not those that are refused (§7.2.5)', () => {
    const rig = cacheFor()
    const neighbor = enter(rig, address, 'STALE')
    rig.cache.advertise(address, { ...PLAIN, mac: OLD, isRouter: true }, rig.now())
    expect(neighbor.isRouter).toBe(true)
    rig.cache.advertise(address, { ...PLAIN, mac: NEW, isRouter: false }, rig.now())
    expect(neighbor.isRouter).toBe(true)
    rig.cache.advertise(address, { ...PLAIN, mac: null, isRouter: false }, rig.now())
    expect(neighbor.isRouter).toBe(false)
  })
})

const neighbour = (n: number): IpAddress => IpAddress.v4(0x0a00_0000 + n)

test('a full queue of one neighbour gives up its oldest packets for the new ones (RFC 4861 §7.2.2)', () => {
  const rig = cacheFor()
  const fit = (256 * 1_024) / SMALL_PAGE
  for (let number = 0; number < fit + 10; number++) rig.send(neighbour(1), number)
  expect(rig.counters.drops.neighborQueueFull).toBe(10)
  rig.cache.advertise(neighbour(1), { ...PLAIN, solicited: true }, rig.now())
  expect(rig.sent).toEqual(Array.from({ length: fit }, (_, index) => index + 10))
})

test('all queues of one link together hold 2 MiB of pages, and get the room back', () => {
  const rig = cacheFor()
  const fit = Math.floor((2 * 1_024 * 1_024) / LARGE_PAGE)
  const sendAll = (): void => {
    for (let number = 0; number < fit + 5; number++) rig.send(neighbour(100 + number), number, LARGE_PAGE - 200)
  }
  sendAll()
  expect(rig.counters.drops.neighborQueueFull).toBe(5)
  expect(rig.pool.inUse).toBe(fit)
  rig.run(seconds(3))
  expect(rig.pool.inUse).toBe(0)
  sendAll()
  expect(rig.pool.inUse).toBe(fit)
  for (let number = 0; number < fit; number++) rig.cache.learn(neighbour(100 + number), NEW)
  sendAll()
  expect(rig.sent.length).toBe(fit)
  rig.cache.clear()
  sendAll()
  expect(rig.pool.inUse).toBe(fit)
  rig.cache.clear()
})

test('what is told of a failure may be for the same neighbour: it is asked for anew and nothing is miscounted', () => {
  const pool = testPool()
  const counters = new Counters()
  const random = new SeededRandom(SEED)
  let told = 0
  const cache: NeighborCache = new NeighborCache(
    {
      solicit: () => {},
      release: (packet) => packet.release(),
      unreachable: (_packet, now) => {
        if (told++ < 40) cache.resolve(neighbour(1), Packet.allocate(pool, LARGE_PAGE - 200)!, now)
      },
    },
    random,
    counters,
  )
  let now = 1 as Micros
  cache.resolve(neighbour(1), Packet.allocate(pool, LARGE_PAGE - 200)!, now)
  for (let round = 0; round < 200; round++) {
    now = (now + seconds(1)) as Micros
    cache.poll(now)
  }
  expect(told).toBe(41)
  expect(cache.list()).toEqual([])
  expect(counters.drops.neighborQueueFull).toBe(0)
  for (let number = 0; number < 31; number++) {
    cache.resolve(neighbour(number), Packet.allocate(pool, LARGE_PAGE - 200)!, now)
  }
  expect(counters.drops.neighborQueueFull).toBe(0)
  cache.clear()
})

describe('a full table', () => {
  const flood = (rig: Rig, count: number): void => {
    for (let n = 0; n < count; n++) rig.cache.learn(neighbour(0x1_0000 + n), mac(n))
  }

  test('a flood of forged senders stays within 1,024 entries, and those that answered once survive it', () => {
    const rig = cacheFor()
    const states: NeighborState[] = []
    for (let n = 0; n < 50; n++) {
      rig.cache.learn(neighbour(n), mac(n))
      rig.cache.confirm(neighbour(n), rig.now())
    }
    rig.run(seconds(60))
    rig.cache.confirm(neighbour(1), rig.now())
    rig.cache.setPermanent(neighbour(2), OLD, rig.now())
    rig.send(neighbour(3))
    rig.send(neighbour(1_000), 77)
    flood(rig, 10 * NEIGHBOR_LIMIT)
    expect(rig.cache.list().length).toBe(NEIGHBOR_LIMIT)
    for (let n = 0; n < 50; n++) states.push(rig.cache.get(neighbour(n))!.state)
    expect(states.slice(1, 4)).toEqual(['REACHABLE', 'PERMANENT', 'DELAY'])
    expect(new Set(states.slice(4))).toEqual(new Set(['STALE']))
    expect(rig.cache.get(neighbour(1_000))?.state).toBe('INCOMPLETE')
    rig.cache.clear()
  })

  test('a flood of packets to nobody costs others nobody, and its parked packets are bounded', () => {
    const rig = cacheFor()
    rig.cache.learn(neighbour(1), OLD)
    rig.cache.confirm(neighbour(1), rig.now())
    rig.run(seconds(50))
    for (let n = 0; n < 4 * NEIGHBOR_LIMIT; n++) rig.send(neighbour(0x2_0000 + n))
    expect(rig.cache.list().length).toBe(NEIGHBOR_LIMIT)
    expect(rig.cache.get(neighbour(1))?.state).toBe('STALE')
    expect(rig.pool.inUse).toBeLessThanOrEqual(1_024)
    expect(rig.send(neighbour(1))).toBe(true)
    rig.run(seconds(20))
    expect(rig.pool.inUse).toBe(0)
  })

  test('forged senders whom we answered, so that we doubt them, still give way to the living', () => {
    const rig = cacheFor()
    rig.cache.learn(neighbour(1), OLD)
    rig.cache.confirm(neighbour(1), rig.now())
    rig.run(seconds(50))
    flood(rig, NEIGHBOR_LIMIT - 1)
    for (let n = 0; n < NEIGHBOR_LIMIT - 1; n++) rig.send(neighbour(0x1_0000 + n))
    rig.cache.learn(neighbour(2), NEW)
    expect(rig.cache.get(neighbour(1))?.state).toBe('STALE')
    expect(rig.cache.get(neighbour(2))?.state).toBe('STALE')
  })

  test('of those that answered once, the one that did the longest ago goes first', () => {
    const rig = cacheFor()
    for (let n = 0; n < NEIGHBOR_LIMIT; n++) {
      rig.cache.learn(neighbour(n), OLD)
      if (n !== 7) rig.run(1 as Micros)
      rig.cache.confirm(neighbour(n), rig.now())
    }
    rig.cache.confirm(neighbour(0), rig.now())
    rig.run(seconds(50))
    rig.cache.learn(neighbour(5_000), NEW)
    expect(rig.cache.get(neighbour(1))).toBeUndefined()
    expect(rig.cache.get(neighbour(0))).toBeDefined()
  })

  test('when all are alive a new one is refused and counted', () => {
    const rig = cacheFor()
    for (let n = 0; n < NEIGHBOR_LIMIT; n++) {
      rig.cache.learn(neighbour(n), OLD)
      rig.cache.confirm(neighbour(n), rig.now())
    }
    expect(rig.send(neighbour(5_000))).toBe(false)
    expect(rig.counters.drops.neighborTableFull).toBe(1)
    expect(rig.cache.learn(neighbour(5_001), OLD)).toBeNull()
    expect(() => rig.cache.setPermanent(neighbour(5_002), OLD, rig.now())).toThrow(NetError)
    expect(rig.send(neighbour(9))).toBe(true)
  })
})
