// A short version of the flood (flood.ts throws ten million frames), and proof that it notices what it looks for.

import { expect, test } from 'vitest'
import { nonZero } from '../../src/counters.ts'
import { PACKETS } from './corpus.ts'
import { flood, Target } from './target.ts'

test.each([1, 2, 3, 4])('50,000 mutated frames break nothing, and the host answers afterwards: seed %i', (seed) => {
  const { fault, target } = flood({ frames: 50_000, seed })
  try {
    expect(fault, `seed ${seed}`).toBe('')
    // The flood gets everywhere: into every protocol, and past every check.
    const names = new Set(nonZero(target.stack.counters).map(([name]) => name))
    for (const name of [
      'IpForwDatagrams',
      'IpReasmOKs',
      'Ip6ReasmOKs',
      'IpReasmTimeout',
      'IpFragCreates',
      'UdpInDatagrams',
      'Udp6InDatagrams',
      'IcmpInEchos',
      'Icmp6InEchos',
      'IcmpOutErrors',
      'Icmp6OutErrors',
      'Icmp6InPktTooBigs',
      'Icmp6InRouterAdvertisements',
      'Icmp6OutMLDv2Reports',
      'Icmp6OutNeighborAdvertisements',
      'drop.fragmentOverlap',
      'drop.udpChecksum',
      'drop.ipOptionMalformed',
      'drop.ipExtensionUnknown',
      'drop.arpMalformed',
      'drop.ndpMalformed',
      'drop.redirectIgnored',
      'drop.neighborUnreachable',
      'drop.icmpErrorUnmatched',
      'drop.hopLimitExceeded',
      'drop.noRoute',
      'drop.spoofedSource',
    ])
      expect(names, `seed ${seed}`).toContain(name)
  } finally {
    target.close()
  }
})

test('the same seed is the same flood', () => {
  const runs = [flood({ frames: 5_000, seed: 9 }), flood({ frames: 5_000, seed: 9 })]
  const [a, b] = runs.map(({ target }) => nonZero(target.stack.counters))
  for (const { target } of runs) target.close()
  expect(a).toEqual(b)
})

test('a page that is kept is noticed', () => {
  const target = new Target(1)
  const kept = target.pool.take(100)!
  expect(target.aftermath()).toBe('1 pages are still in use after the flood')
  kept.release()
  expect(target.aftermath()).toBe('')
  target.close()
})

test('the corpus has packets of every protocol', () => {
  const protocols = PACKETS.map((packet) => (packet[0]! >>> 4 === 4 ? packet[9]! : 256 + packet[6]!))
  expect([...new Set(protocols)].sort((a, b) => a - b)).toEqual([
    1,
    2,
    6,
    17,
    99,
    256,
    256 + 17,
    299,
    300,
    307,
    314,
    315,
    316,
  ])
})
