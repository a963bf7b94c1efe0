// One side of the bench `tcp-tap`: connects to tcp-peer.ts by our stack over a TAP device, or by node:net, and sends
// as much as it can, or takes what comes and prints how much in a second. `tcp-host.js ours|node send|take ADDRESS`

import { once } from 'node:events'
import { connect } from 'node:net'
import { Host } from '../src/node/host.ts'
import { TcpSocket } from '../src/socket/tcp-socket.ts'
import { IpAddress, IpPrefix } from '../src/wire/address.ts'

const CHUNK = 65_536
const PORT = 5_001
const WARMUP_MILLIS = 500
const MEASURE_MILLIS = 1_000

const [stack, direction, address] = process.argv.slice(2)
const chunk = Buffer.alloc(CHUNK, 0x5a)
let count = 0
let going = true
await (stack === 'ours' ? useOurs() : useNode())

async function useOurs(): Promise<void> {
  const host = await Host.open({
    link: 'tap:hgb0',
    addresses: [IpPrefix.from('10.98.0.2/24')],
    osAddresses: [IpPrefix.from('10.98.0.1/24')],
    probes: 0,
  })
  const socket = await TcpSocket.connect(host.stack, { remoteAddress: IpAddress.from(address!), remotePort: PORT })
  const work = direction === 'send' ? send(socket) : take(socket)
  await measure()
  socket.abort()
  await work
  await host.close()
}

async function send(socket: TcpSocket): Promise<void> {
  try {
    while (going) await socket.write(chunk)
  } catch (error) {
    // The abort at the end finds a write that waits.
    if (going) throw error
  }
}

async function take(socket: TcpSocket): Promise<void> {
  const target = new Uint8Array(CHUNK)
  try {
    while (going) count += await socket.read(target)
  } catch (error) {
    if (going) throw error
  }
}

async function useNode(): Promise<void> {
  const socket = connect(PORT, address)
  await once(socket, 'connect')
  const pump = (): void => {
    while (going && socket.write(chunk));
  }
  if (direction === 'send') pump()
  socket.on('drain', pump).on('data', ({ length }) => {
    count += length
  })
  await measure()
  socket.resetAndDestroy()
}

/** Who takes, measures; who sends goes on for longer than that. */
async function measure(): Promise<void> {
  await pause(WARMUP_MILLIS)
  const before = count
  const start = performance.now()
  await pause(MEASURE_MILLIS)
  const bytesPerSecond = ((count - before) * 1_000) / (performance.now() - start)
  if (direction === 'send') await pause(WARMUP_MILLIS)
  else process.stdout.write(`${JSON.stringify({ bytesPerSecond })}\n`)
  going = false
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis))
}
