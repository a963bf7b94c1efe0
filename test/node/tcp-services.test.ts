// The small services over TCP in a world: what they say, and what clients that wait for ever cost.

import { expect, test } from 'vitest'
import { settle } from '../../src/node/settle.ts'
import { startTcpServices } from '../../src/node/tcp-services.ts'
import type { World } from '../../src/sim/world.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import { millis } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { inWorld } from '../support/peer.ts'

const CLIENTS = 200

const withServices = (
  body: (world: World, dial: (port: number) => Promise<TcpSocket>) => Promise<void>,
): Promise<void> =>
  inWorld(
    2,
    async (world) => {
      const [client, server] = [world.host('client'), world.host('server')]
      const cable = world.cable({ delay: millis(1) })
      world.attach(client, cable.a, { addresses: ['10.0.0.1/24'], linkLocal: false })
      world.attach(server, cable.b, { addresses: ['10.0.0.2/24'], linkLocal: false })
      const services = startTcpServices(server, ['echo', 'discard', 'chargen'])
      const remoteAddress = IpAddress.from('10.0.0.2')
      await world.run(body(world, (remotePort) => TcpSocket.connect(client, { remoteAddress, remotePort })))
      for (const service of services) service.close()
    },
    { settle },
  )

test('echo gives back every byte, also where the client reads late and of several clients at once (RFC 862)', () =>
  withServices(async (world, dial) => {
    const talk = async (salt: number): Promise<void> => {
      const socket = await dial(7)
      const sent = Uint8Array.from({ length: 400_000 }, (_, at) => (at * 31 + (at >>> 8) * 7 + salt) & 0xff)
      const writing = socket.write(sent).then(() => socket.shutdown())
      await world.sleep(millis(500 * salt))
      const got = new Uint8Array(sent.length)
      for (let at = 0; at < got.length; ) {
        const count = await socket.read(got.subarray(at))
        expect(count).toBeGreaterThan(0)
        at += count
      }
      expect(await socket.read(new Uint8Array(1))).toBe(0)
      await writing
      expect(got.every((byte, at) => byte === sent[at])).toBe(true)
      socket.close()
    }
    await Promise.all([0, 1, 2].map(talk))
  }))

test(`${CLIENTS} clients that wait for ever cost the services less than 16 KiB each`, () =>
  withServices(async (_world, dial) => {
    const before = process.memoryUsage().arrayBuffers
    const sockets: TcpSocket[] = []
    const byte = new Uint8Array(1)
    for (let count = 0; count < CLIENTS; count++) {
      const socket = await dial(count % 2 === 0 ? 7 : 9)
      await socket.write(byte)
      if (count % 2 === 0) await socket.read(byte)
      sockets.push(socket)
    }
    expect((process.memoryUsage().arrayBuffers - before) / CLIENTS).toBeLessThan(16 * 1_024)
    for (const socket of sockets) socket.abort()
  }))
