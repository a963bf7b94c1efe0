import { describe, expect, it } from 'vitest'
import { LoopbackDevice } from '../../src/link/loopback.ts'
import { IMMEDIATELY, micros, NEVER } from '../../src/time.ts'
import { testPool } from '../support/pool.ts'
import { frame, log, numbers, VirtualClock } from './rig.ts'

const NOW = micros(0)

describe('LoopbackDevice', () => {
  it('delivers in order at the next poll, not from inside transmit()', () => {
    const pool = testPool()
    const device = new LoopbackDevice()
    const arrivals = log(device, new VirtualClock())
    expect(device.deadline()).toBe(NEVER)
    for (const number of [1, 2, 3]) expect(device.transmit(frame(pool, number))).toBe(true)
    expect(arrivals).toEqual([])
    expect(device.deadline()).toBe(IMMEDIATELY)
    device.poll(NOW)
    expect(numbers(arrivals)).toEqual([1, 2, 3])
    expect(device.deadline()).toBe(NEVER)
  })

  it('leaves for the next poll what is sent while it delivers, so that a poll ends', () => {
    const pool = testPool()
    const device = new LoopbackDevice()
    let echoes = 0
    device.onReceive = (packet) => {
      echoes++
      device.transmit(packet)
    }
    device.transmit(frame(pool, 1))
    device.poll(NOW)
    expect(echoes).toBe(1)
    device.poll(NOW)
    expect(echoes).toBe(2)
    device.close()
  })

  it('hands over a partial checksum as it is', () => {
    const device = new LoopbackDevice()
    const states: string[] = []
    device.onReceive = (packet) => {
      states.push(packet.checksum)
      packet.release()
    }
    const packet = frame(testPool(), 1)
    packet.checksum = 'partial'
    device.transmit(packet)
    device.poll(NOW)
    expect(states).toEqual(['partial'])
  })

  it('drops and counts what its queue, its MTU or its being closed forbids', () => {
    const pool = testPool()
    const device = new LoopbackDevice({ limitPackets: 2 })
    const long = frame(pool, 0)
    const more = frame(pool, 0, { length: 1_900 })
    for (let left = 40; left > 0; left--) more.share(long, 0, 1_900)
    more.release()
    expect(long.length).toBeGreaterThan(65_536)
    expect(device.transmit(long)).toBe(false)
    expect([1, 2, 3].map((number) => device.transmit(frame(pool, number)))).toEqual([true, true, false])
    device.close()
    device.close()
    expect(device.transmit(frame(pool, 4))).toBe(false)
    expect(device.counters.drops).toMatchObject({ frameTooLong: 1, deviceFull: 1, deviceDown: 1 })
    expect([device.counters.packets, pool.inUse, device.deadline()]).toEqual([2, 0, NEVER])
  })

  it('counts what nobody takes', () => {
    const device = new LoopbackDevice()
    device.transmit(frame(testPool(), 1))
    device.poll(NOW)
    expect(device.counters.drops.deviceDown).toBe(1)
  })
})
