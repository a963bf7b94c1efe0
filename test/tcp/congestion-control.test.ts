// A congestion control of one's own: the example of docs/congestion-control.md, and the ways to choose one.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Vegas } from '../../examples/vegas.ts'
import { CongestionWindow, FixedWindow } from '../../src/tcp/congestion.ts'
import { Cubic } from '../../src/tcp/cubic.ts'
import { connect, listen, setOptions } from '../../src/tcp/open.ts'
import { type Micros, millis } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { bulk } from '../support/bulk.ts'
import { inWorld } from '../support/peer.ts'
import { TcpPeer } from '../support/tcp-peer.ts'

const MSS = 1_000

/** One round trip of a window, its ACKs of a segment each. */
function round(control: Vegas, window: CongestionWindow, rtt: Micros): void {
  const segments = Math.floor(window.cwnd / MSS)
  for (let count = 0; count < segments; count++) {
    const sample = { acked: MSS, flight: window.cwnd, rtt, srtt: rtt, leastRtt: millis(100), now: millis(1_000) }
    control.acknowledged(window, { ...sample, roundStart: count === 0 })
  }
}

function windowOf(segments: number, ssthresh: number): CongestionWindow {
  const window = new CongestionWindow(MSS)
  window.cwnd = segments * MSS
  window.ssthresh = ssthresh
  return window
}

describe('the example, TCP Vegas', () => {
  test.each([
    ['fewer than two of its segments wait: a segment more', 101, 101],
    ['two to four wait: the same', 103, 100],
    ['more than four wait: a segment less', 106, 99],
  ])('%s', (_, rtt, expected) => {
    const control = new Vegas()
    const window = windowOf(100, 1)
    round(control, window, millis(rtt))
    expect(window.cwnd).toBe(expected * MSS)
  })

  test('slow start doubles every second round, and ends when a segment waits', () => {
    const control = new Vegas()
    const window = windowOf(10, Number.POSITIVE_INFINITY)
    const seen: number[] = []
    for (let count = 0; count < 4; count++) {
      round(control, window, millis(100))
      seen.push(window.cwnd / MSS)
    }
    expect(seen).toEqual([20, 20, 40, 40])
    round(control, window, millis(110))
    round(control, window, millis(110))
    expect(window.inSlowStart).toBe(false)
  })

  test('keeps the queue of a bufferbloated cable short, with at least 0.8 of the goodput of CUBIC', async () => {
    const path = { bytes: 5_000_000, bitsPerSecond: 10_000_000, delay: 10, queuePackets: 1_000 }
    const cubic = await bulk({ ...path, tcp: { congestionControl: () => new Cubic() } })
    const vegas = await bulk({ ...path, tcp: { congestionControl: () => new Vegas() } })
    expect(vegas.goodput).toBeGreaterThan(0.8 * cubic.goodput)
    expect(vegas.meanRtt).toBeLessThan(0.5 * cubic.meanRtt)
    // No more than six segments wait, at 1.2 ms each.
    expect(vegas.meanRtt).toBeLessThan(millis(20 + 6 * 1.2))
  })

  test('is one file of a hundred lines, and the document shows what the interface has', () => {
    expect(readFileSync('examples/vegas.ts', 'utf8').split('\n').length).toBeLessThanOrEqual(100)
    const page = readFileSync('docs/congestion-control.md', 'utf8')
    const source = readFileSync('src/tcp/congestion.ts', 'utf8')
    const [, body] = /export interface CongestionControl \{(.*?)\n\}/s.exec(source)!
    const members = [...body!.matchAll(/^ {2}(?:readonly )?(\w+)\??[(:]/gm)].map(([, name]) => name!)
    expect(members).toContain('pacingRate')
    for (const name of members) expect(page).toContain(`\`${name}`)
  })
})

describe('choosing one', () => {
  const mine = () => new FixedWindow(7_000)

  test('for a connection, for what a listener accepts, and later: TCP_CONGESTION; else the host decides', () =>
    inWorld(5, (world, pool) => {
      const peer = new TcpPeer(world, pool)
      const { tcp } = peer.host
      const remoteAddress = IpAddress.from('10.0.0.2')
      const dial = (options = {}) => connect(tcp, { remoteAddress, remotePort: 5, options }, world.now)
      const listener = listen(tcp, { family: 4, port: 80 }, { congestionControl: mine })
      const accepted = peer.establish({ mss: 1_460 }, listener)
      expect(accepted.control.name).toBe('fixed')
      setOptions(tcp, accepted, { congestionControl: null }, world.now)
      expect(accepted.control.name).toBe('cubic')
      setOptions(tcp, accepted, { noDelay: true }, world.now)
      expect(accepted.control.name).toBe('cubic')
      expect(dial().control.name).toBe('cubic')
      expect(dial({ congestionControl: mine }).control.name).toBe('fixed')
    }))
})
