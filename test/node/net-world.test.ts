// node:net on hosts of a simulated world: time is virtual, links have a delay, windows close.

import { describe, expect, it } from 'vitest'
import { makeNet, type Net } from '../../src/node/net/net.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack.ts'
import { millis, seconds } from '../../src/time.ts'
import { once } from '../support/net-host.ts'
import { inWorld } from '../support/peer.ts'

interface Ends {
  readonly a: { readonly stack: Stack; readonly net: Net }
  readonly b: { readonly stack: Stack; readonly net: Net }
}

const DELAY = millis(20)

function twoHosts(world: World): Ends {
  const cable = world.cable({ delay: DELAY })
  const make = (name: string, end: typeof cable.a, number: number): Ends['a'] => {
    const stack = world.host(name)
    world.attach(stack, end, { addresses: [`10.0.0.${number}/24`, `fd00::${number}/64`] })
    return { stack, net: makeNet(stack) }
  }
  return { a: make('a', cable.a, 1), b: make('b', cable.b, 2) }
}

/** A world whose hosts run programs of Node. */
const withHosts = (seed: number, body: (world: World, ends: Ends) => Promise<void>): Promise<void> =>
  inWorld(seed, (world) => body(world, twoHosts(world)), { settle })

describe('node:net in a world', () => {
  it('a request and its answer take two round trips of virtual time, the connection included', () =>
    withHosts(1, async (world, { a, b }) => {
      b.net.createServer((socket) => socket.on('data', (data) => socket.end(`re: ${data}`))).listen(80)
      await world.run(world.sleep(seconds(1)))
      const client = a.net.connect(80, '10.0.0.2')
      client.write('hello')
      const closed = once(client, 'close')
      const start = world.now
      const [data] = await world.run(once(client, 'data'))
      expect(String(data)).toBe('re: hello')
      // Neighbours have to find each other as well: one more.
      expect(world.now - start).toBe(6 * DELAY)
      await world.run(closed)
    }))

  it.each([-1_000, 1e12])('a keep-alive delay of %i ms, which no kernel takes, only switches it on', (delay) =>
    withHosts(7, async (world, { a, b }) => {
      b.net.createServer((socket) => socket.on('data', (data) => socket.end(data))).listen(80)
      const client = a.net.connect(80, '10.0.0.2')
      await world.run(once(client, 'connect'))
      client.setKeepAlive(true, delay)
      client.write('hello')
      const [data] = await world.run(once(client, 'data'))
      expect(String(data)).toBe('hello')
      const [connection] = [...a.stack.tcp.demux.values()]
      expect(connection!.options).toMatchObject({ keepAlive: true, keepAliveIdle: seconds(7_200) })
      client.destroy()
    }),
  )

  it('a time-out of a socket waits virtual time, and activity puts it off', () =>
    withHosts(2, async (world, { a, b }) => {
      b.net.createServer((socket) => socket.resume()).listen(80)
      const client = a.net.connect(80, '10.0.0.2').setTimeout(5_000)
      await world.run(once(client, 'connect'))
      await world.run(world.sleep(seconds(3)))
      client.write('x')
      const wrote = world.now
      await world.run(once(client, 'timeout'))
      expect(world.now - wrote).toBe(seconds(5))
      client.destroy()
    }))

  it('RFC 8305: an address that does not answer is given up after 250 ms for one of the other family', () =>
    withHosts(3, async (world, { a, b }) => {
      b.net.createServer((socket) => socket.resume()).listen(80)
      const seen: unknown[] = []
      const lookup = (_host: string, _options: unknown, answer: (error: null, found: unknown) => void): void =>
        process.nextTick(answer, null, [
          { address: 'fd00::9', family: 6 },
          { address: '10.0.0.2', family: 4 },
        ])
      await world.run(world.sleep(seconds(1)))
      const start = world.now
      const client = a.net.connect({ port: 80, host: 'two.test', lookup: lookup as never })
      for (const event of ['connectionAttempt', 'connectionAttemptTimeout', 'connect']) {
        client.on(event, (address?: string) => seen.push([event, address, world.now - start]))
      }
      await world.run(once(client, 'connect'))
      expect(seen).toEqual([
        ['connectionAttempt', 'fd00::9', 0],
        ['connectionAttemptTimeout', 'fd00::9', millis(250)],
        ['connectionAttempt', '10.0.0.2', millis(250)],
        ['connect', undefined, millis(250) + 4 * DELAY],
      ])
      expect(client.autoSelectFamilyAttemptedAddresses).toEqual(['fd00::9:80', '10.0.0.2:80'])
      client.destroy()
    }))

  it('back-pressure reaches the window: who does not read stops the writer, and loses nothing', () =>
    withHosts(4, async (world, { a, b }) => {
      const total = 20_000_000
      let received = 0
      const server = b.net.createServer((socket) => socket.pause()).listen(80)
      const connection = once(server, 'connection')
      const client = a.net.connect(80, '10.0.0.2')
      let written = false
      client.write(Buffer.alloc(total), () => {
        written = true
      })
      client.end()
      const [accepted] = (await world.run(connection)) as [ReturnType<Net['connect']>]
      await world.run(world.sleep(seconds(10)))
      const stalled = [...b.stack.tcp.demux.values()][0]!
      expect(written).toBe(false)
      expect(stalled.rcv.wnd).toBeLessThan(stalled.rcv.segmentBytes)
      // Windows are told in units of their scale: it may be less than a segment more.
      expect(stalled.receiveQueue.available).toBeLessThan(stalled.receiveLimit + stalled.rcv.segmentBytes)
      accepted.on('data', (data: Buffer) => {
        received += data.length
      })
      accepted.resume()
      await world.run(once(accepted, 'end'))
      expect([received, written, accepted.bytesRead, client.bytesWritten]).toEqual([total, true, total, total])
    }))

  it('a host that goes away closes its sockets, connecting, reading or paused, and its servers, without an error', () =>
    withHosts(5, async (world, { a, b }) => {
      const server = b.net.createServer().listen(80)
      const client = a.net.connect(80, '10.0.0.2').resume()
      const [accepted] = (await world.run(once(server, 'connection'))) as [ReturnType<Net['connect']>]
      accepted.pause()
      const connecting = a.net.connect(80, '10.0.0.2')
      await settle()
      const closed = [client, accepted, connecting, server].map((one) => once(one, 'close'))
      a.stack.close()
      b.stack.close()
      expect(await Promise.all(closed)).toEqual([[false], [false], [false], []])
      expect([a.net.host.keepAlive.holding, b.net.host.keepAlive.holding]).toEqual([0, 0])
    }))

  it('a host that nobody answers for is unreachable, after the time that neighbour discovery takes', () =>
    withHosts(6, async (world, { a }) => {
      const client = a.net.connect(80, '10.0.0.9')
      const start = world.now
      const [error] = await world.run(once(client, 'error'))
      expect(error).toMatchObject({ message: 'connect EHOSTUNREACH 10.0.0.9:80', errno: -113, syscall: 'connect' })
      expect(world.now - start).toBeGreaterThanOrEqual(seconds(3))
    }))

  it('a network without a route is refused at once, and the error names the local end', () =>
    withHosts(7, async (world, { a }) => {
      const client = a.net.connect(80, '203.0.113.1')
      const [error] = await world.run(once(client, 'error'))
      expect(error).toMatchObject({ message: 'connect ENETUNREACH 203.0.113.1:80 - Local (0.0.0.0:0)', errno: -101 })
    }))
})
