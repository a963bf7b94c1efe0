// The table from addresses and ports to connections, alone: against a Map, with chains that collide, and its secret.

import { fc, test as property } from '@fast-check/vitest'
import { describe, expect, test } from 'vitest'
import { SeededRandom } from '../../src/random.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { Demux } from '../../src/tcp/demux.ts'
import { IpAddress } from '../../src/wire/address.ts'

interface Ends {
  readonly local: string
  readonly localPort: number
  readonly remote: string
  readonly remotePort: number
}

/** As much of a connection as the table looks at. */
function connectionOf(demux: Demux, ends: Ends, hash?: number): Connection {
  const [localAddress, remoteAddress] = [IpAddress.from(ends.local), IpAddress.from(ends.remote)]
  const { localPort, remotePort } = ends
  const known = hash ?? demux.hash(localAddress, localPort, remoteAddress, remotePort)
  const options = { reuseAddress: localPort === 81 }
  const fields = { localAddress, localPort, remoteAddress, remotePort, hash: known, options, chain: null }
  return fields as unknown as Connection
}

const find = (demux: Demux, { local, localPort, remote, remotePort }: Ends): Connection | null =>
  demux.find(IpAddress.from(local), localPort, IpAddress.from(remote), remotePort)

const ends = fc.record({
  local: fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::1', '::ffff:10.0.0.1'),
  localPort: fc.constantFrom(80, 81),
  remote: fc.constantFrom('10.0.0.3', '10.0.0.4', 'fd00::3', 'fd00::1:0:3'),
  remotePort: fc.integer({ min: 1, max: 4 }),
})

describe('Demux', () => {
  property.prop([fc.array(fc.tuple(fc.boolean(), ends), { maxLength: 60 }), fc.boolean()], { numRuns: 300 })(
    'finds what was added and not removed, and nothing else, be all in one chain',
    (steps, collide) => {
      const demux = new Demux(new SeededRandom(1))
      if (collide) demux.hash = () => 7
      const model = new Map<string, Connection>()
      for (const [adds, wanted] of steps) {
        const key = JSON.stringify(wanted)
        const known = model.get(key)
        expect(find(demux, wanted)).toBe(known ?? null)
        if (adds && known === undefined) {
          const connection = connectionOf(demux, wanted)
          demux.add(connection)
          model.set(key, connection)
        } else if (!adds && known !== undefined) {
          demux.remove(known)
          model.delete(key)
        }
        expect(demux.size).toBe(model.size)
        expect(new Set(demux.values())).toEqual(new Set(model.values()))
        const exclusive = [...model.values()].filter(({ options }) => !options.reuseAddress)
        expect(demux.exclusive).toEqual(new Set(exclusive))
      }
    },
  )

  test('removing what is not there changes nothing', () => {
    const demux = new Demux(new SeededRandom(2))
    const one = connectionOf(demux, { local: '10.0.0.1', localPort: 80, remote: '10.0.0.3', remotePort: 1 })
    const stranger = connectionOf(
      demux,
      { local: '10.0.0.1', localPort: 80, remote: '10.0.0.3', remotePort: 2 },
      one.hash,
    )
    demux.add(one)
    demux.remove(stranger)
    demux.remove(stranger)
    expect([demux.size, ...demux.values()]).toEqual([1, one])
  })

  test.each(['10.7.', 'fd00::'])('neighbouring ports and addresses %s spread, as chance would have it', (net) => {
    const demux = new Demux(new SeededRandom(3))
    const hashes = new Set<number>()
    const local = IpAddress.from(net.includes(':') ? 'fd00::1' : '10.0.0.1')
    for (let host = 0; host < 100; host++) {
      const remote = IpAddress.from(net.includes(':') ? `${net}${host}` : `${net}0.${host}`)
      for (let port = 0; port < 100; port++) hashes.add(demux.hash(local, 80, remote, 1_024 + port))
    }
    // Of 10,000 out of 2^32 chance lets 0.01 collide.
    expect(hashes.size).toBeGreaterThan(9_990)
  })

  test('the keys are another host’s secret: what collides with one does not with the next', () => {
    const [local, remote] = [IpAddress.from('10.0.0.1'), IpAddress.from('10.0.0.9')]
    const bucketsOf = (seed: number): number[] => {
      const demux = new Demux(new SeededRandom(seed))
      return Array.from({ length: 4_096 }, (_, port) => demux.hash(local, 80, remote, port) & 63)
    }
    const [first, second] = [bucketsOf(4), bucketsOf(5)]
    const collided = first.flatMap((bucket, port) => (bucket === first[0] ? [port] : []))
    expect(collided.length).toBeGreaterThan(30)
    expect(new Set(collided.map((port) => second[port]!)).size).toBeGreaterThan(20)
  })
})
