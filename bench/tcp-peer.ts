// The kernel's side of the bench `tcp-tap`: a program of node:net that takes what comes, or sends as much as it can, and
// prints how much it took in a second. `tcp-peer.js take|give`

import { createServer } from 'node:net'

const CHUNK = 65_536
const WARMUP_MILLIS = 500
const MEASURE_MILLIS = 1_000

const chunk = Buffer.alloc(CHUNK, 0x5a)
const server = createServer((socket) => {
  socket.on('error', () => socket.destroy())
  if (process.argv[2] === 'give') {
    const pump = (): void => {
      while (socket.write(chunk));
    }
    socket.on('drain', pump).resume()
    pump()
    return
  }
  let count = 0
  socket.on('data', ({ length }) => {
    count += length
  })
  setTimeout(() => {
    const before = count
    const start = performance.now()
    setTimeout(() => {
      const bytesPerSecond = ((count - before) * 1_000) / (performance.now() - start)
      process.stdout.write(`${JSON.stringify({ bytesPerSecond })}\n`)
    }, MEASURE_MILLIS)
  }, WARMUP_MILLIS)
})
server.listen(5_001, '0.0.0.0', () => process.stdout.write('listening\n'))
