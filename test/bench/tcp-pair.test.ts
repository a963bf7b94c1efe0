// The rig of the TCP benches, briefly: what they measure must be what it says.

import { expect, test } from 'vitest'
import { Flow, TcpPair } from '../../bench/tcp-pair.ts'
import { millis } from '../../src/time.ts'

test('the rig of the TCP benches checksums every segment, moves whole chunks, and gives every page back', () => {
  const pair = new TcpPair()
  const ends = pair.connect()
  const flow = new Flow(pair, ends)
  flow.run(() => flow.arrived > 1_000_000)
  flow.finish()
  expect(flow.arrived).toBe(flow.sent)
  expect(ends.server.connection.bytesReceived).toBe(flow.sent)
  expect(pair.to.counters.TcpInSegs).toBeGreaterThan(flow.sent / 1_460)
  pair.closeAll([ends])
  pair.close()
})

test('the rig of the TCP benches counts no more than the line carries, and less where it loses', () => {
  const rate = (loss: number): number => {
    const pair = new TcpPair({ delay: millis(5), bitsPerSecond: 1e7, faults: { outbound: { loss } } })
    const goodput = new Flow(pair, pair.connect()).goodput(millis(3_000))
    pair.close()
    return goodput
  }
  const clean = rate(0)
  expect(clean).toBeLessThan(1e7)
  expect(clean).toBeGreaterThan(0.9e7)
  expect(rate(0.05)).toBeLessThan(clean)
})

test('the rig of the TCP benches opens many connections, each known at both ends', () => {
  const pair = new TcpPair()
  const many = pair.connectMany(300)
  for (const { client, server } of many) {
    expect(client.localPort).toBe(server.remotePort)
    expect(server.connection.state).toBe('ESTABLISHED')
  }
  pair.closeAll(many)
  pair.close()
})
