// The world itself: time, promises, and a crowd of hosts on a bad switch, the same for the same seed.

import { describe, expect, test } from 'vitest'
import { nonZero } from '../../src/counters.ts'
import { SeededRandom } from '../../src/random.ts'
import { World } from '../../src/sim/world.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { type Micros, micros, millis, NEVER, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { bytesUpTo } from '../support/packets.ts'
import { chain, inWorld } from '../support/peer.ts'
import { testPool } from '../support/pool.ts'

describe('time', () => {
  test('runFor and runUntil stop at the microsecond, whether something happens or not', async () => {
    await inWorld(1, (world) => {
      const begin = world.now
      world.runFor(micros(1))
      expect(world.now - begin).toBe(1)
      chain(world, [1_500])
      world.runFor(seconds(1))
      world.runFor(micros(0))
      expect(world.now - begin).toBe(1_000_001)
      world.runUntil((begin + 2_000_000) as Micros)
      expect(world.now - begin).toBe(2_000_000)
      world.runUntil(begin)
      expect(world.now - begin).toBe(2_000_000)
      expect(world.clock.wall() - world.clock.now()).toBe(1_767_225_600_000_000)
    })
  })

  test('what is due at the end of runFor happens in it, what is due later does not', async () => {
    await inWorld(1, async (world) => {
      const woken: string[] = []
      void world.sleep(millis(10)).then(() => woken.push('in time'))
      void world.sleep(micros(10_001)).then(() => woken.push('late'))
      world.runFor(millis(10))
      await null
      expect(woken).toEqual(['in time'])
      expect(world.deadline()).toBe(world.now + 1)
    })
  })

  test('sleepers wake by instant, and those of one instant in the order in which they fell asleep', async () => {
    await inWorld(2, async (world) => {
      const order: string[] = []
      const random = new SeededRandom(2)
      const expected = Array.from({ length: 200 }, (_, index) => ({ index, length: random.below(7) }))
      const all = expected.map(({ index, length }) =>
        world.sleep(millis(length)).then(() => order.push(`${length} ${index}`)),
      )
      await world.run(Promise.all(all))
      const sorted = expected.toSorted((a, b) => a.length - b.length || a.index - b.index)
      expect(order).toEqual(sorted.map(({ index, length }) => `${length} ${index}`))
      expect(world.deadline()).toBe(NEVER)
    })
  })

  test('sleep(0) wakes in the same instant, one that sleeps on in its turn', async () => {
    await inWorld(2, async (world) => {
      const begin = world.now
      await world.run(
        (async () => {
          await world.sleep(micros(0))
          await world.sleep(micros(0))
          expect(world.now).toBe(begin)
          await world.sleep(seconds(5))
        })(),
      )
      expect(world.now - begin).toBe(5_000_000)
    })
  })
})

describe('run', () => {
  test('it gives what the promise gives, at the instant at which it does', async () => {
    await inWorld(3, async (world) => {
      expect(await world.run(Promise.resolve(42))).toBe(42)
      const begin = world.now
      expect(await world.run(world.sleep(seconds(7)).then(() => 'slept'))).toBe('slept')
      expect(world.now - begin).toBe(7_000_000)
    })
  })

  test('it rejects with what the promise rejects with', async () => {
    await inWorld(3, async (world) => {
      const failing = world.sleep(seconds(1)).then(() => {
        throw new Error('no such luck')
      })
      await expect(world.run(failing)).rejects.toThrow('no such luck')
    })
  })

  test('it says when nothing can happen any more, and which seed it was', async () => {
    await inWorld(33, async (world) => {
      const stuck = new Promise<void>(() => {})
      await expect(world.run(stuck)).rejects.toThrow(
        /came to rest .* \(seed 33\): .* world.sleep\(\) waits virtual time/,
      )
    })
  })

  test('it says when the time is over, and has not gone beyond it', async () => {
    await inWorld(34, async (world) => {
      const begin = world.now
      const later = world.sleep(seconds(11))
      await expect(world.run(later, seconds(10))).rejects.toThrow(/still pending after 10000000 .* \(seed 34\)/)
      expect(world.now - begin).toBeLessThanOrEqual(10_000_000)
      await world.run(later)
    })
  })

  test('a given way to settle is used', async () => {
    let turns = 0
    const settle = async (): Promise<void> => {
      turns++
      for (let turn = 0; turn < 200; turn++) await null
    }
    await inWorld(
      3,
      async (world) => {
        let value = 0
        const long = async (): Promise<void> => {
          for (let turn = 0; turn < 150; turn++) await null
          value = 1
        }
        await world.run(long())
        expect([value, turns]).toEqual([1, 1])
      },
      { settle },
    )
  })
})

describe('hosts', () => {
  test('two of one name are refused', async () => {
    await inWorld(4, (world) => {
      world.host('a')
      expect(() => world.host('a')).toThrow("has a host 'a' already")
    })
  })

  test('a host that is closed leaves the others alone', async () => {
    await inWorld(4, (world) => {
      const { first, last } = chain(world, [1_500])
      const socket = new UdpSocket(first, { family: 4 })
      last.close()
      socket.send(bytesUpTo(9), { address: IpAddress.from('10.0.0.2'), port: 7 })
      world.runFor(seconds(10))
      expect(first.counters.drops.neighborUnreachable).toBe(1)
    })
  })

  test('closing a world in the middle of everything gives every page back', async () => {
    await inWorld(5, (world, pool) => {
      const bridge = world.switch()
      const hosts = Array.from({ length: 5 }, (_, index) => {
        const host = world.host(`h${index}`)
        world.attach(host, bridge.port({ delay: millis(50) }), {
          addresses: [`10.0.0.${index + 1}/24`],
          faults: { outbound: { delay: millis(30) }, inbound: { delay: millis(30) } },
        })
        return host
      })
      const sockets = hosts.map((host) => new UdpSocket(host, { family: 4, port: 7 }))
      for (let round = 0; round < 40; round++) {
        for (const socket of sockets) socket.send(bytesUpTo(4_000), { address: IpAddress.from('10.0.0.3'), port: 7 })
        world.runFor(millis(20))
      }
      expect(pool.inUse).toBeGreaterThan(100)
    })
  })
})

/**
 * Whether what was sent became what was received by damage that no Internet checksum sees: a bit lost in one fragment
 * and the same bit of another word gained in another. A sum minds no order.
 */
function isUnseen(sent: string, received: Uint8Array): boolean {
  const bytes = sent.split(',').map(Number)
  if (bytes.length !== received.length) return false
  const changed = bytes.flatMap((byte, at) => (byte === received[at] ? [] : [{ at, by: received[at]! - byte }]))
  const [one, other, ...more] = changed
  if (one === undefined || other === undefined || more.length > 0) return false
  return one.by === -other.by && (one.at & 1) === (other.at & 1) && bytes.length > 1_400
}

/** Twenty hosts on a bad switch talk to one another; what happened, in words. */
async function crowd(seed: number, told: string[]): Promise<void> {
  const COUNT = 20
  await inWorld(
    seed,
    async (world, pool) => {
      const bridge = world.switch({ mtu: 1_500 })
      const random = new SeededRandom(seed)
      const both = {
        loss: 0.03,
        reorder: 0.05,
        duplicate: 0.05,
        jitter: millis(3),
        delay: millis(1),
      }
      const hosts = Array.from({ length: COUNT }, (_, index) => {
        const host = world.host(`h${index}`)
        const on = world.attach(host, bridge.port(), {
          addresses: [`10.0.0.${index + 1}/24`, `fd00::${(index + 1).toString(16)}/64`],
          // One bit, on one way: two in one fragment could make up for each other.
          faults: { outbound: both, inbound: { ...both, corrupt: 0.02 } },
        })
        return { host, on, sender: new UdpSocket(host, { family: 6, port: 7, receiveBytes: 1 << 22 }) }
      })
      const sent = new Set<string>()
      const serial = { next: 0 }
      const say = (from: number, to: number): void => {
        const payload = bytesUpTo(12 + random.below(random.below(8) === 0 ? 4_000 : 1_200), random.below(256))
        new DataView(payload.buffer).setUint32(0, serial.next++)
        new DataView(payload.buffer).setUint32(4, from)
        new DataView(payload.buffer).setUint32(8, to)
        sent.add(payload.join())
        const name = random.below(2) === 0 ? `10.0.0.${to + 1}` : `fd00::${(to + 1).toString(16)}`
        hosts[from]!.sender.send(payload, { address: IpAddress.from(name), port: 7 })
      }
      for (let round = 0; round < 120; round++) {
        for (let count = 0; count < 8; count++) say(random.below(COUNT), random.below(COUNT))
        if (round % 30 === 10)
          world.faultsOf(hosts[round % COUNT]!.on).outbound.configure({ ...both, partitioned: true })
        if (round % 30 === 20) world.faultsOf(hosts[(round - 10) % COUNT]!.on).outbound.configure(both)
        world.runFor(millis(random.below(40)))
      }
      world.runFor(seconds(130))
      let received = 0
      for (const [index, { sender, host }] of hosts.entries()) {
        let own = 0
        for (let next = sender.tryReceive(); next !== null; next = sender.tryReceive(), own++) {
          const text = next.bytes.join()
          const isSent = sent.has(text) || [...sent].some((other) => isUnseen(other, next!.bytes))
          expect(isSent, `host ${index} received what nobody sent`).toBe(true)
          expect(new DataView(next.bytes.buffer).getUint32(8)).toBe(index)
        }
        const { counters } = host
        expect(counters.UdpInDatagrams + counters.Udp6InDatagrams).toBe(own)
        const dropped = Object.values(counters.drops).reduce((sum, count) => sum + count, 0)
        const arrived = counters.IpInReceives + counters.Ip6InReceives
        expect(arrived).toBeGreaterThanOrEqual(own)
        expect(dropped).toBeGreaterThan(0)
        received += own
        told.push(`${host.name} ${own} ${JSON.stringify(nonZero(counters))}`)
      }
      // 3% lost on each of four ways, 2% damaged, partitions: most arrive, some twice.
      expect(received).toBeGreaterThan(sent.size / 2)
      expect(pool.inUse).toBe(0)
      told.push(`${world.now}`)
    },
    { pool: testPool({ trace: false }) },
  )
}

describe('twenty hosts on a switch that loses, reorders, repeats, damages and parts', () => {
  test.each([1, 2, 3, 4, 5])(
    'only what was sent is received, the counters add up, no page is lost: seed %i',
    async (seed) => {
      await crowd(seed, [])
    },
  )

  test('the same seed is the same world, another is another', async () => {
    const [a, b, c]: string[][] = [[], [], []]
    await crowd(77, a!)
    await crowd(77, b!)
    await crowd(78, c!)
    expect(a).toEqual(b)
    expect(a).not.toEqual(c)
  })
})

test.each<[string, (world: World, host: Stack) => unknown, string]>([
  [
    'a whole cable',
    (world, host) => world.attach(host, world.cable() as never),
    'attached to one end: cable.a, cable.b',
  ],
  ['nothing', (world, host) => world.attach(host, undefined as never), 'attached to one end: cable.a, cable.b'],
  [
    'an option that there is not',
    (world, host) => world.attach(host, world.cable().a, { address: [] } as never),
    "attach() has no option 'address': the options are name,",
  ],
  [
    'an address without its length',
    (world, host) => world.attach(host, world.cable().a, { addresses: ['10.0.0.1'] }),
    "'10.0.0.1' has no prefix length",
  ],
  [
    'a cable with a knob that there is not',
    (world) => world.cable({ rate: 1 } as never),
    "cable() has no option 'rate'",
  ],
])('a host is not attached to %s', (_, act, sentence) =>
  inWorld(1, async (world) => {
    expect(() => act(world, world.host('a'))).toThrow(sentence)
  }),
)

test('an end that has a host takes no other', () =>
  inWorld(1, async (world) => {
    const cable = world.cable()
    world.attach(world.host('a'), cable.a)
    expect(() => world.attach(world.host('b'), cable.a)).toThrow(/has a host already: each end is for one/)
  }))

test("hosts of one world with pools of their own give each other's pages back", async () => {
  const pools = [testPool(), testPool()]
  const world = new World({ seed: 6 })
  const hosts = pools.map((pool, index) => world.host(`h${index}`, { pool }))
  const cable = world.cable()
  world.attach(hosts[0]!, cable.a, { addresses: ['10.0.0.1/24'] })
  world.attach(hosts[1]!, cable.b, { addresses: ['10.0.0.2/24'] })
  const receiver = new UdpSocket(hosts[1]!, { family: 4, port: 7 })
  const sender = new UdpSocket(hosts[0]!, { family: 4 })
  sender.send(bytesUpTo(50_000), { address: IpAddress.from('10.0.0.2'), port: 7 })
  expect((await world.run(receiver.receive())).bytes.length).toBe(50_000)
  world.close()
})
