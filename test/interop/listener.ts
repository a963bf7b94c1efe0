// Our side of the group test in services.test.ts: a host on tap:hg0 that joins the groups it is given, prints what is sent to
// port 7000, and leaves and ends when it is told `leave`.

import { createInterface } from 'node:readline'
import { Host } from '../../src/node/host.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'

const [capture = '', ...groups] = process.argv.slice(2)
const host = await Host.open({
  link: 'tap:hg0',
  addresses: [IpPrefix.from('10.77.0.2/24'), IpPrefix.from('fd77::2/64')],
  osAddresses: [IpPrefix.from('10.77.0.1/24'), IpPrefix.from('fd77::1/64')],
  capture,
})
await host.ready()
const socket = new UdpSocket(host.stack, { family: 6, port: 7_000 })
for (const group of groups) socket.joinGroup(IpAddress.from(group), host.interface.index)
console.log('listening')
const input = createInterface({ input: process.stdin })
input.once('line', () => {
  process.stdin.destroy()
  socket.close()
})
for await (const { bytes, destination, source } of socket)
  console.log(`${new TextDecoder().decode(bytes)} sent to ${destination} by ${source}`)
// The reports of leaving are repeated within a second (RFC 3376 §6.1): they are waited for by who reads them.
await new Promise((resolve) => setTimeout(resolve, 1_500))
await host.close()
console.log(`${host.stack.pool.inUse} pages in use`)
