import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/errors.ts'
import { Cable } from '../../src/link/cable.ts'
import { micros, millis, NEVER } from '../../src/time.ts'
import { testPool } from '../support/pool.ts'
import { frame, log, numbers, upTo, VirtualClock } from './rig.ts'

describe('Cable', () => {
  it('delivers after exactly its delay, both ways', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    const cable = new Cable(clock, { delay: millis(5), fromB: { delay: millis(7) } })
    const atA = log(cable.a, clock)
    const atB = log(cable.b, clock)
    clock.instant = 100
    cable.a.transmit(frame(pool, 1))
    cable.b.transmit(frame(pool, 2))
    expect([cable.a.deadline(), cable.b.deadline()]).toEqual([7_100, 5_100])
    clock.runTo(5_099, [cable.a, cable.b])
    expect(atB).toEqual([])
    clock.settle([cable.a, cable.b])
    expect(atB).toEqual([{ at: 5_100, number: 1 }])
    expect(atA).toEqual([{ at: 7_100, number: 2 }])
    expect([cable.a.deadline(), cable.b.deadline()]).toEqual([NEVER, NEVER])
  })

  it('takes the time of all bits, Ethernet header included, and never rounds twice', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    // 1,514 bytes at 1 Gbit/s take 12.112 us: 1,000 of them 12,112 us to the microsecond.
    const cable = new Cable(clock, { bitsPerSecond: 1e9, delay: micros(10), queuePackets: 1_000 })
    const arrivals = log(cable.b, clock)
    for (const number of upTo(1_000)) expect(cable.a.transmit(frame(pool, number, { length: 1_514 }))).toBe(true)
    clock.settle([cable.b])
    expect(arrivals[0]!.at).toBe(13 + 10)
    expect(arrivals.map(({ at }) => at)).toEqual(upTo(1_000).map((n) => Math.ceil(((n + 1) * 12_112) / 1_000) + 10))
  })

  it('equals exact arithmetic for any rate, lengths and gaps', () => {
    const gap = fc.tuple(fc.integer({ min: 18, max: 1_514 }), fc.nat(3_000))
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000_000, max: 10_000_000_000 }),
        fc.array(gap, { maxLength: 30 }),
        (rate, gaps) => {
          const pool = testPool()
          const clock = new VirtualClock()
          const cable = new Cable(clock, { bitsPerSecond: rate })
          const arrivals: number[] = []
          cable.b.onReceive = (packet) => {
            arrivals.push(clock.instant)
            packet.release()
          }
          const expected: number[] = []
          // In units of a microsecond / rate.
          let idleAt = 0n
          for (const [length, pause] of gaps) {
            clock.runTo(clock.instant + pause, [cable.b])
            const from = BigInt(clock.instant) * BigInt(rate)
            idleAt = (idleAt > from ? idleAt : from) + BigInt(length) * 8_000_000n
            expected.push(Number((idleAt + BigInt(rate) - 1n) / BigInt(rate)))
            cable.a.transmit(frame(pool, 0, { length }))
          }
          clock.settle([cable.b])
          expect(arrivals).toEqual(expected)
        },
      ),
    )
  })

  it('bounds its queue by packets and by bytes, and frees a place as each packet leaves the transmitter', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    // 1,000 bytes take 1 ms; what is in flight for the long delay is not in the queue.
    const cable = new Cable(clock, { bitsPerSecond: 8e6, delay: millis(500), queuePackets: 3 })
    const arrivals = log(cable.b, clock)
    const send = (number: number) => cable.a.transmit(frame(pool, number, { length: 1_000 }))
    expect([0, 1, 2, 3].map(send)).toEqual([true, true, true, false])
    clock.instant = 999
    expect(send(4)).toBe(false)
    clock.instant = 1_000
    expect([send(5), send(6)]).toEqual([true, false])
    clock.settle([cable.b])
    expect(numbers(arrivals)).toEqual([0, 1, 2, 5])
    expect(cable.a.outbound.counters).toMatchObject({ packets: 4, bytes: 4_000, drops: { cableQueueFull: 3 } })

    const narrow = new Cable(clock, { bitsPerSecond: 8e6, queueBytes: 2_500 })
    expect([0, 1, 2].map((n) => narrow.a.transmit(frame(pool, n, { length: 1_000 })))).toEqual([true, true, false])
    narrow.close()
  })

  it('loses what is on the way when it is cut, and all that follows until it is mended, per direction', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    const cable = new Cable(clock, { delay: millis(1) })
    const atA = log(cable.a, clock)
    const atB = log(cable.b, clock)
    cable.a.transmit(frame(pool, 1))
    cable.b.transmit(frame(pool, 2))
    cable.cut('a')
    expect([cable.a.outbound.isUp, cable.b.outbound.isUp]).toEqual([false, true])
    expect(cable.a.transmit(frame(pool, 3))).toBe(false)
    expect(cable.b.transmit(frame(pool, 4))).toBe(true)
    expect(cable.a.outbound.counters.drops.faultPartition).toBe(2)
    cable.mend('a')
    cable.a.transmit(frame(pool, 5))
    clock.settle([cable.a, cable.b])
    expect([numbers(atA), numbers(atB)]).toEqual([[2, 4], [5]])
    cable.cut()
    cable.cut()
    expect([cable.a.transmit(frame(pool, 6)), cable.b.transmit(frame(pool, 7))]).toEqual([false, false])
    cable.mend()
    expect([cable.a.transmit(frame(pool, 8)), cable.b.transmit(frame(pool, 9))]).toEqual([true, true])
    cable.close()
  })

  it('keeps the order when its delay shrinks under packets on the way', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    const cable = new Cable(clock, { delay: millis(10) })
    const arrivals = log(cable.b, clock)
    cable.a.transmit(frame(pool, 1))
    cable.configure({ delay: millis(1) })
    cable.a.transmit(frame(pool, 2))
    clock.settle([cable.b])
    expect(arrivals).toEqual([
      { at: 10_000, number: 1 },
      { at: 10_000, number: 2 },
    ])
  })

  it('leaves for the next poll what is sent while it delivers, even without delay', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    const cable = new Cable(clock)
    let bounces = 0
    for (const end of [cable.a, cable.b]) {
      end.onReceive = (packet) => {
        bounces++
        end.transmit(packet)
      }
    }
    cable.a.transmit(frame(pool, 1))
    cable.b.poll(clock.now())
    expect(bounces).toBe(1)
    cable.b.poll(clock.now())
    expect(bounces).toBe(1)
    cable.a.poll(clock.now())
    expect(bounces).toBe(2)
    cable.close()
  })

  it('carries packets from one pool to the stack of another, and wipes what only the sender knew', () => {
    const ours = testPool()
    const clock = new VirtualClock()
    const cable = new Cable(clock)
    const packet = frame(ours, 1)
    packet.checksum = 'verified'
    packet.networkAt = packet.data
    packet.interfaceIndex = 3
    packet.linkCast = 'other'
    cable.b.onReceive = (received) => {
      expect(received).toMatchObject({
        checksum: 'unchecked',
        networkAt: -1,
        transportAt: -1,
        interfaceIndex: 0,
        linkCast: 'host',
      })
      received.release()
    }
    cable.a.transmit(packet)
    cable.b.poll(clock.now())
    expect(ours.inUse).toBe(0)
  })

  it('refuses frames that are too short or too long, a VLAN tag being extra', () => {
    const pool = testPool()
    const cable = new Cable(new VirtualClock())
    const short = frame(pool, 0)
    short.trim(13)
    const tagged = frame(pool, 0, { length: 1_518 })
    tagged.page.view.setUint16(tagged.data + 12, 0x8100)
    expect(cable.a.transmit(short)).toBe(false)
    expect(cable.a.transmit(frame(pool, 0, { length: 1_514 }))).toBe(true)
    expect(cable.a.transmit(frame(pool, 0, { length: 1_515 }))).toBe(false)
    expect(cable.a.transmit(tagged)).toBe(true)
    expect(cable.a.outbound.counters.drops).toMatchObject({ frameTooShort: 1, frameTooLong: 1 })
    cable.close()
  })

  it('takes super-segments and partial checksums where an option says so, and asserts where none does', () => {
    const pool = testPool()
    const clock = new VirtualClock()
    const build = () => {
      const packet = frame(pool, 1, { length: 1_900 })
      packet.checksum = 'partial'
      packet.segmentBytes = 500
      packet.segmentKind = 'tcp4'
      return packet
    }
    const cable = new Cable(clock, { offloads: { checksum: true, segmentBytes: 65_536 } })
    const states: unknown[] = []
    cable.b.onReceive = (packet) => {
      states.push(packet.checksum, packet.segmentBytes)
      packet.release()
    }
    expect(cable.a.transmit(build())).toBe(true)
    clock.settle([cable.b])
    expect(states).toEqual(['partial', 500])
    const plain = new Cable(clock, { mtu: 9_000 })
    const packet = build()
    expect(() => plain.a.transmit(packet)).toThrow('partial checksum')
    packet.release()
  })

  it('holds no page after it was closed with packets on the way, and takes none', () => {
    const pool = testPool()
    const cable = new Cable(new VirtualClock(), { delay: millis(1), bitsPerSecond: 1e6 })
    for (const number of upTo(20)) cable.a.transmit(frame(pool, number))
    cable.b.transmit(frame(pool, 1))
    cable.b.close()
    expect(pool.inUse).toBe(1)
    expect(cable.a.transmit(frame(pool, 3))).toBe(false)
    expect(cable.b.transmit(frame(pool, 3))).toBe(false)
    cable.close()
    expect([pool.inUse, cable.a.deadline(), cable.b.deadline()]).toEqual([0, NEVER, NEVER])
  })

  it.each([{ delay: micros(-1) }, { bitsPerSecond: 0.5 }, { queuePackets: 0 }, { mtu: 0 }])('refuses %o', (options) => {
    expect(() => new Cable(new VirtualClock(), options)).toThrow(UsageError)
  })
})
