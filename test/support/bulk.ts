// One bulk transfer between two hosts in virtual time: what left the sender and when, what it carried, and the round
// trips that it measured.

import { NO_OFFLOADS, type Offloads } from '../../src/link/device.ts'
import type { FaultOptions } from '../../src/link/fault-options.ts'
import { settle } from '../../src/node/settle.ts'
import { World } from '../../src/sim/world.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { StackOptions } from '../../src/stack.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import { type Micros, millis } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { testPool } from './pool.ts'

export interface BulkPath {
  readonly bytes: number
  readonly bitsPerSecond: number
  /** One way, in milliseconds. */
  readonly delay: number
  readonly queuePackets?: number
  readonly faults?: Partial<FaultOptions>
  readonly offloads?: Offloads
  readonly tcp: NonNullable<StackOptions['tcp']>
}

/** A packet with data, as the sender's cable took it. */
export interface Left {
  readonly at: Micros
  readonly bytes: number
}

export interface Bulk {
  /** Payload bytes a second at the reader, over the second half of them: buffers have grown, slow start is over. */
  readonly goodput: number
  readonly left: readonly Left[]
  readonly sender: Connection
  readonly counters: World['hosts'][number]['counters']
  /** Microseconds; as tcp_info tells it, smoothed over the last round trips, sampled every 10 ms of the transfer. */
  readonly meanRtt: number
}

const HEADERS = 20 + 32
/** SYN has more options; no test sends so little data. */
const SYN_LENGTH = 60

export async function bulk(path: BulkPath): Promise<Bulk> {
  const world = new World({ seed: 11, settle, pool: testPool({ trace: false }) })
  try {
    const [a, b] = [world.host('a', { tcp: path.tcp }), world.host('b')]
    const { bitsPerSecond, delay, queuePackets = 10_000, offloads = NO_OFFLOADS } = path
    const cable = world.cable({ medium: 'ip', delay: millis(delay), bitsPerSecond, queuePackets, offloads })
    const left: Left[] = []
    const transmit = cable.a.transmit.bind(cable.a)
    cable.a.transmit = (packet) => {
      if (packet.length > SYN_LENGTH) left.push({ at: world.now, bytes: packet.length - HEADERS })
      return transmit(packet)
    }
    const faults = path.faults === undefined ? {} : { faults: { outbound: path.faults } }
    world.attach(a, cable.a, { addresses: ['10.0.0.1/24'], ...faults })
    world.attach(b, cable.b, { addresses: ['10.0.0.2/24'] })
    const listener = new TcpListener(b, { family: 4, port: 80 })
    const dialled = TcpSocket.connect(a, { remoteAddress: IpAddress.from('10.0.0.2'), remotePort: 80 })
    const [client, server] = await world.run(Promise.all([dialled, listener.accept()]))
    let halfAt = world.now
    let half = 0
    const samples: number[] = []
    const read = async (): Promise<void> => {
      const target = new Uint8Array(65_536)
      let got = 0
      for (let count = await server.read(target); count > 0; count = await server.read(target)) {
        got += count
        if (got > path.bytes / 2) continue
        half = got
        halfAt = world.now
      }
    }
    const write = async (): Promise<void> => {
      await client.write(new Uint8Array(path.bytes))
      client.shutdown()
    }
    let running = true
    const watch = async (): Promise<void> => {
      for (; running; await world.sleep(millis(10))) samples.push(client.connection.rtt.srtt)
    }
    const watching = watch()
    await world.run(Promise.all([read(), write()]))
    const goodput = ((path.bytes - half) * 1e6) / (world.now - halfAt)
    running = false
    await world.run(watching)
    const meanRtt = samples.reduce((sum, sample) => sum + sample, 0) / samples.length
    return { goodput, left, sender: client.connection, counters: a.counters, meanRtt }
  } finally {
    world.close()
  }
}
