// A program on Linux's side of the tests of TCP, by node:net: one connection, which it reads, writes and ends when it is told to.
//
//   linux-peer.ts listen PORT          waits for the connection, over either family
//   linux-peer.ts connect HOST PORT    makes it
//
// It prints `listening`, `connected`, `ended BYTES SHA256` when the other side has finished, and `error CODE`. On standard input, a
// word a line: `read` (until then it reads nothing), `say` sends a few bytes, `finish` shuts its own direction down.

import { createHash } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

const [mode = '', ...words] = process.argv.slice(2)

function talk(socket: Socket): void {
  console.log('connected')
  const hash = createHash('sha256')
  let bytes = 0
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    hash.update(chunk)
  })
  socket.pause()
  socket.on('end', () => console.log(`ended ${bytes} ${hash.digest('hex')}`))
  socket.on('error', (error: NodeJS.ErrnoException) => console.log(`error ${error.code}`))
  socket.on('close', () => process.stdin.destroy())
  createInterface({ input: process.stdin }).on('line', (word) => {
    if (word === 'read') socket.resume()
    else if (word === 'say') socket.write('something\n')
    else if (word === 'finish') socket.end()
  })
}

const options = { allowHalfOpen: true, pauseOnConnect: true }
if (mode === 'connect') {
  const socket = connect({ host: words[0]!, port: Number(words[1]), allowHalfOpen: true }, () => talk(socket))
} else {
  const server = createServer(options, (socket) => {
    server.close()
    talk(socket)
  })
  server.listen(Number(words[0]), '::', () => console.log('listening'))
}
