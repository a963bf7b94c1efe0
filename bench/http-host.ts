// The server of the bench `http`: node:http on a host of ours over a TAP device, or on the kernel.
// `http-host.js ours|node`

import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { Host } from '../src/node/host.ts'
import { IpPrefix } from '../src/wire/address.ts'

const PORT = 8_080
const BODY = Buffer.from('x'.repeat(99).concat('\n'))

const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': BODY.length })
  response.end(BODY)
})

if (process.argv[2] === 'ours') {
  const host = await Host.open({
    link: 'tap:hgb0',
    addresses: [IpPrefix.from('10.98.0.2/24')],
    osAddresses: [IpPrefix.from('10.98.0.1/24')],
    probes: 0,
  })
  // As node:http has it: half-open, and without Nagle.
  const ours = host.net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    server.emit('connection', socket as unknown as Socket),
  )
  ours.listen(PORT, '10.98.0.2', () => process.stdout.write('listening\n'))
} else server.listen(PORT, '0.0.0.0', () => process.stdout.write('listening\n'))
