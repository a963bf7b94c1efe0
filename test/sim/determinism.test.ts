import { expect, test } from 'vitest'
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts'
import { PacketCapture } from '../../src/link/capture.ts'
import { IcmpSocket } from '../../src/socket/icmp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { type Micros, seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { prefixInformation, routerAdvertisement } from '../support/messages.ts'
import { inWorld, Stranger } from '../support/stranger.ts'

const ip = (text: string): IpAddress => IpAddress.from(text)

/** A busy world of four hosts on a bad network, as a capture. */
function recorded(seed: number): Uint8Array {
  const writer = new PcapngWriter({ limitBytes: 64 * 1_024 * 1_024 })
  inWorld(
    seed,
    ({ world, pool }) => {
      const hub = world.switch()
      const group = ip('239.1.2.3')
      const bad = {
        loss: 0.05,
        duplicate: 0.05,
        reorder: 0.1,
        corrupt: 0.02,
        delay: 500 as Micros,
        jitter: 300 as Micros,
      }
      const faults = { inbound: bad, outbound: bad }
      const stranger = new Stranger(world, pool, hub.port())
      const hosts = ['a', 'b', 'c', 'd'].map((name, index) => {
        const host = world.host(name)
        const on = world.attach(host, hub.port({ delay: 50 as Micros }), {
          addresses: [`10.0.0.${index + 1}/24`],
          probes: 1,
          acceptRouters: true,
          faults,
        })
        host.multicast.join(on, group, world.now)
        return host
      })
      stranger.runSeconds(3)
      stranger.send(routerAdvertisement(ip('fe80::99'), { prefixes: [prefixInformation('2001:db8:7::/64')] }))
      stranger.runSeconds(3)
      const sockets = hosts.map((host) => new UdpSocket(host, { family: 4, port: 7 }))
      const echoes = hosts.map((host) => new IcmpSocket(host, 4))
      for (let round = 0; round < 20; round++) {
        sockets.forEach((socket, index) => {
          // One in five is nobody's address.
          const to = ip(`10.0.0.${1 + ((round + index) % 5)}`)
          socket.send(new Uint8Array(20 * round + 1), { address: to, port: 7 })
          socket.send(new Uint8Array(3_000), { address: group, port: 7 })
          echoes[index]!.sendEcho(to, round, new Uint8Array(2_000))
        })
        stranger.run(seconds(0.7))
      }
      stranger.runSeconds(60)
      for (const echo of echoes) echo.close()
    },
    { capture: new PacketCapture(writer) },
  )
  expect(writer.packets).toBeGreaterThan(500)
  expect(writer.droppedRecords).toBe(0)
  return writer.take().slice()
}

test.each([1, 2, 0xdead_beef, 0x1f_ffff_ffff_ffff])('seed %i gives the same capture, byte for byte, twice', (seed) => {
  const once = recorded(seed)
  expect(Buffer.compare(once, recorded(seed))).toBe(0)
})

test('different seeds give different captures', () => {
  const captures = [1, 2, 3, 0x1_0000_0001].map((seed) => Buffer.from(recorded(seed)).toString('base64'))
  expect(new Set(captures).size).toBe(captures.length)
})
