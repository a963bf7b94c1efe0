// The host of the bench `frames`: on a TAP device it counts datagrams that come in, or sends as many as it can, for a
// second, and prints how many. `frame-host.js in|out BYTES on|off`

import { readFileSync } from 'node:fs'
import { Host } from '../src/node/host.ts'
import { UdpSocket } from '../src/socket/udp-socket.ts'
import { IpAddress, IpPrefix } from '../src/wire/address.ts'

const WARMUP_MILLIS = 700
const MEASURE_MILLIS = 1_000
const BATCH = 32
const PORT = 9

const [direction, size, offload] = process.argv.slice(2)
const host = await Host.open({
  link: 'tap:hgb0',
  addresses: [IpPrefix.from('10.98.0.2/24')],
  osAddresses: [IpPrefix.from('10.98.0.1/24')],
  offload: offload === 'on',
  probes: 0,
})
const socket = new UdpSocket(host.stack, { family: 4, port: PORT, receiveBytes: 4 * 1_024 * 1_024 })
process.stdout.write('ready\n')
const rate = direction === 'in' ? await countIncoming() : await sendOut(new Uint8Array(Number(size)))
process.stdout.write(`${JSON.stringify(rate)}\n`)
socket.close()
await host.close()

async function countIncoming(): Promise<object> {
  let count = 0
  const target = new Uint8Array(2_048)
  socket.endpoint.onReadable = () => {
    while (socket.receiveInto(target) >= 0) count++
  }
  return measure(() => count)
}

async function sendOut(payload: Uint8Array): Promise<object> {
  socket.connect(IpAddress.from('10.98.0.1'), PORT)
  let going = true
  const turn = (): void => {
    for (let index = 0; index < BATCH; index++) socket.send(payload)
    if (going) setImmediate(turn)
  }
  turn()
  const result = await measure(() => Number(readFileSync('/sys/class/net/hgb0/statistics/rx_packets', 'utf8')))
  going = false
  return result
}

async function measure(count: () => number): Promise<object> {
  await pause(WARMUP_MILLIS)
  const before = count()
  const start = performance.now()
  await pause(MEASURE_MILLIS)
  const seconds = (performance.now() - start) / 1_000
  return { perSecond: (count() - before) / seconds, driver: host.driver.info() }
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis))
}
