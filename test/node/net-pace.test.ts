// When what a program wrote leaves its host, and what a connection without traffic does: coalesced writes, Nagle's
// algorithm, keep-alive, each by every way that node:net has to switch it. In virtual time.

import { describe, expect, it } from 'vitest'
import type { Cable } from '../../src/link/cable.ts'
import { makeNet, type Net } from '../../src/node/net/net.ts'
import { settle } from '../../src/node/settle.ts'
import type { World } from '../../src/sim/world.ts'
import type { Stack } from '../../src/stack.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { millis, seconds } from '../../src/time.ts'
import { once } from '../support/net-host.ts'
import { inWorld } from '../support/peer.ts'

type Socket = ReturnType<Net['connect']>

interface Ends {
  readonly world: World
  readonly cable: Cable
  readonly client: Socket
  readonly accepted: Socket
  readonly ofClient: Connection
  readonly ofAccepted: Connection
}

const DELAY = millis(20)
const onlyConnection = (stack: Stack): Connection => [...stack.tcp.demux.values()][0]!

/** A connection between two hosts. */
const connected = (
  seed: number,
  { server = {}, client = {} }: { server?: object; client?: object },
  body: (ends: Ends) => Promise<void>,
): Promise<void> =>
  inWorld(
    seed,
    async (world) => {
      const cable = world.cable({ delay: DELAY })
      const [near, far] = [world.host('near'), world.host('far')]
      world.attach(near, cable.a, { addresses: ['10.0.0.1/24'] })
      world.attach(far, cable.b, { addresses: ['10.0.0.2/24'] })
      const listener = makeNet(far).createServer(server).listen(80)
      const connection = once(listener, 'connection')
      const socket = makeNet(near).connect({ port: 80, host: '10.0.0.2', ...client })
      await world.run(once(socket, 'connect'))
      const [accepted] = (await world.run(connection)) as [Socket]
      await world.run(world.sleep(seconds(1)))
      const connections = { ofClient: onlyConnection(near), ofAccepted: onlyConnection(far) }
      await body({ world, cable, client: socket, accepted, ...connections })
    },
    { settle },
  )

describe('what a program writes', () => {
  it('within one tick leaves in one segment, however many pieces it has', () =>
    connected(1, { client: { noDelay: true } }, async ({ world, client, accepted, ofClient }) => {
      const before = ofClient.dataSegmentsSent
      for (const piece of ['four ', 'pieces ', 'for one ', 'reply']) client.write(piece)
      const [data] = await world.run(once(accepted, 'data'))
      expect(String(data)).toBe('four pieces for one reply')
      expect(ofClient.dataSegmentsSent - before).toBe(1)
    }))

  it.each([
    ['connect() without noDelay', {}, () => {}, true],
    ['connect() with noDelay', { client: { noDelay: true } }, () => {}, false],
    ['setNoDelay()', {}, ({ client }: Ends) => client.setNoDelay(), false],
    ['setNoDelay(true) and setNoDelay(false)', {}, ({ client }: Ends) => client.setNoDelay().setNoDelay(false), true],
  ] as const)(
    'later, after %s, waits for the acknowledgement or not (RFC 9293 §3.7.4)',
    (_title, options, set, waits) =>
      connected(2, options, async (ends) => {
        const { world, client, accepted, ofClient } = ends
        set(ends)
        // Spends the segments that a new connection acknowledges at once.
        client.write('x')
        await world.run(once(accepted, 'data'))
        await world.run(world.sleep(seconds(1)))
        const before = ofClient.dataSegmentsSent
        for (const text of ['one', 'two']) {
          client.write(text)
          await world.run(world.sleep(millis(1)))
        }
        expect(ofClient.dataSegmentsSent - before).toBe(waits ? 1 : 2)
        let text = ''
        accepted.on('data', (data) => (text += data))
        await world.run(world.sleep(seconds(1)))
        expect(text).toBe('onetwo')
      }),
  )

  it('on a connection that a server with noDelay accepted does not wait', () =>
    connected(3, { server: { noDelay: true } }, async ({ ofAccepted, ofClient }) => {
      expect([ofAccepted.options.noDelay, ofClient.options.noDelay]).toEqual([true, false])
    }))
})

describe('keep-alive', () => {
  const WAYS: readonly [string, { server?: object; client?: object }, (ends: Ends) => void][] = [
    ['connect()', { client: { keepAlive: true, keepAliveInitialDelay: 5_000 } }, () => {}],
    ['setKeepAlive()', {}, ({ client }) => void client.setKeepAlive(true, 5_000)],
  ]

  it.each(WAYS)(
    'of %s finds a peer that is gone: a probe after the delay, ten in all, then ETIMEDOUT',
    (_title, options, set) =>
      connected(4, options, async (ends) => {
        const { world, cable, client, accepted } = ends
        set(ends)
        client.write('x')
        await world.run(once(accepted, 'data'))
        await world.run(world.sleep(DELAY))
        // Now it is acknowledged, and all is quiet.
        const start = world.now
        cable.cut()
        const [error] = await world.run(once(client, 'error'))
        expect(error).toMatchObject({ message: 'read ETIMEDOUT', code: 'ETIMEDOUT', errno: -110, syscall: 'read' })
        expect((world.now - start) / seconds(1)).toBeCloseTo(5 + 10, 1)
      }),
  )

  it('of a server is that of the connections which it accepts, and false takes it away', () =>
    connected(
      5,
      { server: { keepAlive: true, keepAliveInitialDelay: 7_000 } },
      async ({ accepted, ofAccepted, ofClient }) => {
        expect(ofAccepted.options).toMatchObject({ keepAlive: true, keepAliveIdle: seconds(7) })
        expect(ofClient.options.keepAlive).toBe(false)
        accepted.setKeepAlive(false)
        expect(ofAccepted.options.keepAlive).toBe(false)
      },
    ))
})
