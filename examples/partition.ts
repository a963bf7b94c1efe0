// A cable that is cut and mended: pings go unanswered meanwhile. The capture tells the rest:
// `npx hourglass dump partition.pcapng`. Run it with `npx tsx examples/partition.ts`.

import { IcmpSocket, IpAddress, millis, PacketCapture, PcapngWriter, World } from 'hourglass'
import { CaptureFile, settle } from 'hourglass/node'

const writer = new PcapngWriter({ application: 'examples/partition.ts' })
const file = CaptureFile.open('partition.pcapng', writer)
const world = new World({ seed: 1, settle, capture: new PacketCapture(writer) })
const a = world.host('a')
const b = world.host('b')
const cable = world.cable({ delay: millis(5) })
world.attach(a, cable.a, { addresses: ['fd00::1/64'] })
world.attach(b, cable.b, { addresses: ['fd00::2/64'] })

const socket = new IcmpSocket(a, 6)
socket.onEchoReply = ({ sequence, at }) => console.log(`${(at / 1e6).toFixed(3)} s: answer ${sequence}`)
socket.onEchoError = ({ sequence, error, at }) => console.log(`${(at / 1e6).toFixed(3)} s: ${sequence}: ${error.kind}`)

for (let sequence = 1; sequence <= 10; sequence++) {
  if (sequence === 4) cable.cut()
  if (sequence === 8) cable.mend()
  socket.sendEcho(IpAddress.from('fd00::2'), sequence, new Uint8Array(56))
  await world.run(world.sleep(millis(500)))
}
world.close()
await file.close()
