// TCP over a line that loses one packet in twenty: a file goes across whole, and the sender says what it went through.
// Every packet is in tcp.pcapng. Run it with `npx tsx examples/tcp.ts`, then `npx hourglass dump -r tcp.pcapng`.

import { millis, PacketCapture, PcapngWriter, TcpListener, TcpSocket, World } from 'hourglass'
import { CaptureFile, settle } from 'hourglass/node'

const BYTES = 1_000_000

const writer = new PcapngWriter({ application: 'examples/tcp.ts' })
const file = CaptureFile.open('tcp.pcapng', writer)
const world = new World({ seed: 42, settle, capture: new PacketCapture(writer) })
const client = world.host('client')
const server = world.host('server')
const cable = world.cable({ delay: millis(20), bitsPerSecond: 10_000_000 })
world.attach(client, cable.a, { addresses: ['fd00::1/64'], faults: { outbound: { loss: 0.05 } } })
world.attach(server, cable.b, { addresses: ['fd00::2/64'] })

async function receive(): Promise<number> {
  const listener = new TcpListener(server, { family: 6, port: 9000 })
  const socket = await listener.accept()
  const buffer = new Uint8Array(65_536)
  let received = 0
  for (let count = await socket.read(buffer); count > 0; count = await socket.read(buffer)) received += count
  socket.close()
  listener.close()
  return received
}

async function send(): Promise<void> {
  const socket = await TcpSocket.connect(client, { remoteAddress: 'fd00::2', remotePort: 9000 })
  await socket.write(new Uint8Array(BYTES))
  await socket.flush()
  const { rtt, sndCwnd, totalRetrans, dataSegsOut } = socket.info()
  console.log(`${dataSegsOut} segments sent, ${totalRetrans} of them again`)
  console.log(`round trip ${(rtt / 1_000).toFixed(1)} ms, congestion window ${sndCwnd} segments`)
  socket.close()
}

const [received] = await world.run(Promise.all([receive(), send()]))
console.log(`${received} of ${BYTES} bytes arrived after ${(world.now / 1e6).toFixed(3)} s of virtual time`)
world.close()
await file.close()
