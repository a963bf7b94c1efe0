// node:dgram over our stack: the same programs see the same on Node's own and on ours.

import dgram from 'node:dgram'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeDgram } from '../../src/node/dgram/dgram.ts'
import type { Lookup } from '../../src/node/dgram/socket-state.ts'
import { Host } from '../../src/node/host.ts'
import { nodeHost } from '../../src/node/node-host.ts'
import { settle } from '../../src/node/settle.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import { millis, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { barePeer, chain, inWorld } from '../support/peer.ts'
import { type Dgram, SCENARIOS, Trace } from './dgram-scenarios.ts'

let host: Host
let ours: Dgram

/** Literals, and localhost. */
const lookup: Lookup = (name, family, callback) => {
  process.nextTick(callback, null, name === 'localhost' ? (family === 4 ? '127.0.0.1' : '::1') : name)
}

beforeAll(async () => {
  host = await Host.open({ link: 'mem' })
  host.driver.unref()
  ours = makeDgram(host.stack, { lookup })
})

afterAll(() => host.close())

describe('Node’s dgram and ours', () => {
  test.each(Object.keys(SCENARIOS))('see the same of: %s', async (name) => {
    const [theirs, mine] = [new Trace(), new Trace()]
    await SCENARIOS[name]!(dgram, theirs)
    await SCENARIOS[name]!(ours, mine)
    expect(mine.lines).toEqual(theirs.lines)
    expect(nodeHost(host.stack).keepAlive.holding).toBe(0)
    expect(host.stack.udp.list()).toEqual([])
  })
})

test('connect() of a closed socket is refused, where Node’s stumbles over its own missing handle', () => {
  const socket = ours.createSocket('udp4').close()
  expect(() => socket.connect(9)).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' }))
})

describe('dgram in a world', () => {
  test('a group’s datagrams reach the members of another host, from the sources that they asked for (RFC 3678 §4.1.2)', () =>
    inWorld(
      1,
      async (world) => {
        const { first, last } = chain(world, [1_500])
        const heard: string[] = []
        const member = makeDgram(last, { lookup }).createSocket('udp4')
        member.on('message', (bytes, from) => heard.push(`${from.address} ${bytes}`))
        await world.run(once(member.bind(5_000), 'listening'))
        const sender = makeDgram(first, { lookup }).createSocket('udp4')
        const send = (text: string): Promise<void> =>
          world.run(new Promise((resolve) => sender.send(text, 5_000, '239.1.1.1', () => resolve())))
        await send('nobody is a member')
        await world.run(world.sleep(millis(10)))
        member.addMembership('239.1.1.1')
        await send('for all sources')
        await world.run(world.sleep(millis(10)))
        member.dropMembership('239.1.1.1')
        member.addSourceSpecificMembership('10.0.0.9', '239.1.1.1')
        await send('for another source')
        await world.run(world.sleep(millis(10)))
        member.addSourceSpecificMembership('10.0.0.1', '239.1.1.1')
        await send('for this source')
        await world.run(world.sleep(millis(10)))
        expect(heard).toEqual(['10.0.0.1 for all sources', '10.0.0.1 for this source'])
      },
      { settle },
    ))

  test('setMulticastLoopback decides whether the sender’s own host hears', () =>
    inWorld(
      1,
      async (world) => {
        const { createSocket } = makeDgram(chain(world, [1_500]).first, { lookup })
        for (const [type, group] of [
          ['udp4', '239.1.1.1'],
          ['udp6', 'ff05::1'],
        ] as const) {
          const socket = createSocket(type)
          const heard: string[] = []
          socket.on('message', (bytes) => heard.push(String(bytes)))
          await world.run(once(socket.bind(5_000), 'listening'))
          socket.addMembership(group)
          for (const loops of [true, false, true]) {
            socket.setMulticastLoopback(loops)
            socket.send(String(loops), 5_000, group)
            await world.run(world.sleep(millis(1)))
          }
          socket.close()
          expect(heard).toEqual(['true', 'true'])
        }
      },
      { settle },
    ))

  test('a link-local sender is named with its zone, and answered by it (RFC 4007 §11)', () =>
    inWorld(
      1,
      async (world) => {
        const cable = world.cable()
        const [a, b] = [world.host('a'), world.host('b')]
        world.attach(a, cable.a)
        world.attach(b, cable.b)
        await world.run(world.sleep(seconds(5)))
        const mine = (host: Stack): string => String(host.interfaces.all[1]!.addresses[0]!.address)
        const asked = makeDgram(b, { lookup }).createSocket('udp6')
        asked.on('message', (bytes, from) => asked.send(`${bytes} ${from.address}`, from.port, from.address))
        await world.run(once(asked.bind(7), 'listening'))
        const asking = makeDgram(a, { lookup }).createSocket('udp6')
        asking.send('you are', 7, `${mine(b)}%eth0`)
        const [answer] = await world.run(once(asking, 'message'))
        expect(String(answer)).toBe(`you are ${mine(a)}%eth0`)
      },
      { settle },
    ))

  test('a socket is closed with its host, and keeps the process no longer', () =>
    inWorld(
      1,
      async (world) => {
        const { last } = chain(world, [1_500])
        const socket = makeDgram(last, { lookup }).createSocket('udp4')
        await world.run(once(socket.bind(5_000), 'listening'))
        expect(nodeHost(last).keepAlive.holding).toBe(1)
        last.close()
        await once(socket, 'close')
        expect(nodeHost(last).keepAlive.holding).toBe(0)
      },
      { settle },
    ))

  test('hop limits are as they were set', () =>
    inWorld(1, async (world) => {
      const peer = barePeer(world, { addresses: ['10.0.0.1/24'] })
      const socket = makeDgram(peer.host, { lookup }).createSocket('udp4')
      await once(socket.bind(5_000), 'listening')
      socket.setTTL(9)
      socket.setMulticastTTL(3)
      socket.setBroadcast(true)
      for (const address of ['10.0.0.2', '239.1.1.1', '255.255.255.255']) {
        await new Promise<void>((resolve) => socket.send('x', 7, address, () => resolve()))
        world.runFor(millis(1))
      }
      expect(peer.packets().map(({ destination, hopLimit }) => [String(destination), hopLimit])).toEqual([
        ['10.0.0.2', 9],
        ['239.1.1.1', 3],
        ['255.255.255.255', 9],
      ])
    }))

  test('more than the receive buffer holds is dropped and counted', () =>
    inWorld(
      1,
      async (world) => {
        const { first, last } = chain(world, [1_500])
        const socket = makeDgram(last, { lookup }).createSocket({ type: 'udp4', recvBufferSize: 4_096 })
        let heard = 0
        socket.on('message', () => heard++)
        await world.run(once(socket.bind(5_000), 'listening'))
        expect(socket.getRecvBufferSize()).toBe(8_192)
        const sender = new UdpSocket(first, { family: 4 })
        for (let count = 0; count < 20; count++)
          sender.send(Uint8Array.of(count), { address: IpAddress.from('10.0.0.2'), port: 5_000 })
        world.runFor(millis(10))
        await settle()
        expect(heard).toBeGreaterThan(0)
        expect(heard + last.counters.UdpRcvbufErrors).toBe(20)
        expect(last.counters.UdpRcvbufErrors).toBeGreaterThan(0)
      },
      { settle },
    ))
})
