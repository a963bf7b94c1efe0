// Two hosts in memory, a slow and lossy cable, one datagram. Run it with `npx tsx examples/echo.ts`.

import { millis, UdpSocket, World } from 'hourglass'
import { settle } from 'hourglass/node'

const world = new World({ seed: 42, settle })
const a = world.host('a')
const b = world.host('b')
const cable = world.cable({ delay: millis(20), bitsPerSecond: 10_000_000 })
world.attach(a, cable.a, { addresses: ['10.0.0.1/24'], faults: { outbound: { loss: 0.05, reorder: 0.1 } } })
world.attach(b, cable.b, { addresses: ['10.0.0.2/24'] })

const server = new UdpSocket(b, { family: 4, port: 9000 })
const client = new UdpSocket(a, { family: 4 })
client.send(new TextEncoder().encode('hello'), { address: '10.0.0.2', port: 9000 })
const datagram = await world.run(server.receive())
console.log(new TextDecoder().decode(datagram.bytes), 'after', world.now, 'µs')
world.close()
