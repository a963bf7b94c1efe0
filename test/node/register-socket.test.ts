// A socket of the program's own under `--import hourglass/register`, where it is more than opened and closed once. The same
// program on Node's own net says what is right.

import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { hourglass } from '../support/hourglass.ts'

const PROGRAM = `
const net = require('node:net')
const said = []
const hear = (socket) => {
  for (const event of ['connect', 'ready', 'data', 'end', 'finish', 'close']) socket.on(event, (value) => said.push(event + ' ' + value))
  socket.on('error', (error) => said.push('error ' + error.code))
}
const ways = {
  again: (port, done) => {
    const socket = new net.Socket()
    hear(socket)
    socket.setEncoding('utf8')
    let times = 0
    socket.on('close', () => {
      said.push([socket.destroyed, socket.bytesRead, socket.bytesWritten, socket.readyState].join())
      if (++times === 4) done()
      else socket.connect(times === 2 ? 1 : port, '127.0.0.1')
      if (times !== 2 && times !== 4) socket.write('hello')
    })
    socket.connect(port, '127.0.0.1')
    socket.write('hello')
  },
  corked: (port, done) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.cork()
      socket.write('é')
      socket.write(Buffer.alloc(3))
      said.push([socket.bytesWritten, socket.writableLength].join())
      socket.uncork()
      socket.end(() => said.push(socket.bytesWritten))
    })
    hear(socket)
    socket.on('close', done)
  },
  late: (port, done) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.end('hello')
    server.on('connection', (other) => other.on('close', async () => {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
      said.push(socket.destroyed, socket.readableLength, socket.pending)
      hear(socket)
      socket.on('close', done)
    }))
  },
  written: (port, done) => {
    let bytes = 0
    server.removeAllListeners('connection').on('connection', (other) => {
      other.on('data', (data) => { bytes += data.length }).on('close', () => {
        said.push(bytes)
        done()
      })
    })
    const socket = net.connect(port, '127.0.0.1', () => {
      said.push(socket.write('a'), socket.write('bc'), socket.write('d'.repeat(50000)), socket.writableLength)
      socket.destroy()
    })
  },
  direct: (port, done) => {
    let text = ''
    let stopped = false
    const onread = {
      buffer: Buffer.alloc(4),
      callback(count, buffer) {
        text += buffer.subarray(0, count)
        said.push(this === socket)
        if (stopped) return true
        stopped = true
        setImmediate(() => socket.resume())
        return false
      },
    }
    const socket = new net.Socket({ onread })
    hear(socket)
    socket.on('close', () => {
      said.push(text)
      done()
    })
    socket.connect(port, '127.0.0.1').end('hello world')
  },
  reset: (port, done) => {
    const socket = net.connect(port, '127.0.0.1')
    hear(socket)
    socket.on('close', done)
    socket.resetAndDestroy()
  },
}
const server = net.createServer((socket) => socket.on('error', () => {}).on('data', (bytes) => socket.end(bytes)))
server.listen(0, '127.0.0.1', () => ways[process.argv[1]](server.address().port, () => server.close()))
process.on('exit', () => console.log(JSON.stringify(said)))
`

function onBoth(way: string): { node: unknown[]; ours: unknown[] } {
  const command = [process.execPath, '-e', PROGRAM, way]
  const { stdout } = spawnSync(command[0]!, command.slice(1), { encoding: 'utf8', timeout: 30_000 })
  const ours = hourglass(['run', '--link', 'mem', '--address', '10.0.0.1/24', '--no-control', '--', ...command])
  expect([ours.code, ours.stderr]).toEqual([0, ''])
  return { node: JSON.parse(stdout) as unknown[], ours: JSON.parse(ours.stdout) as unknown[] }
}

describe('a socket of the program under --import hourglass/register', () => {
  it('is connected again when it was closed, and after it was refused', () => {
    const { node, ours } = onBoth('again')
    expect(node.filter((line) => line === 'data hello')).toHaveLength(3)
    expect(node).toContain('error ECONNREFUSED')
    expect(ours).toEqual(node)
  })

  it('counts among the bytes written those that it holds back', () => {
    const { node, ours } = onBoth('corked')
    expect(node).toContain('5,4')
    expect(ours).toEqual(node)
  })

  it('is reset when it is connected, if it is to be reset before', () => {
    const { node, ours } = onBoth('reset')
    expect(node).toContain('connect undefined')
    expect(ours).toEqual(node)
  })

  it('keeps what nobody has read yet when both directions are over', () => {
    const { node, ours } = onBoth('late')
    expect(node).toEqual([false, 5, false, 'data hello', 'end undefined', 'close false'])
    expect(ours).toEqual(node)
  })

  it('has sent what was written before it is destroyed, each piece', () => {
    const { node, ours } = onBoth('written')
    expect(node).toEqual([true, true, true, 0, 50_003])
    expect(ours).toEqual(node)
  })

  it('reads into the memory that the program gave, and stops where its callback says so', () => {
    const { node, ours } = onBoth('direct')
    expect(node.at(-1)).toBe('hello world')
    expect(ours).toEqual(node)
  })
})
