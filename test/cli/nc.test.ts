// `hourglass nc` as a command, over a tunnel to a host of this process.

import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { Host } from '../../src/node/host.ts'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import { UdpSocket } from '../../src/socket/udp-socket.ts'
import { IpAddress, IpPrefix } from '../../src/wire/address.ts'
import { command } from '../support/hourglass.ts'

async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  return port
}

interface Scene {
  readonly host: Host
  readonly nc: ChildProcess
  readonly said: () => string
}

/** A host of ours, 10.0.0.2, and nc as 10.0.0.1 beside it. */
async function withNc(
  words: string,
  body: (scene: Scene) => Promise<void>,
  before?: (host: Host) => void,
): Promise<void> {
  const [here, there] = [await freePort(), await freePort()]
  const host = await Host.open({
    link: `udp:127.0.0.1:${here}-127.0.0.1:${there}`,
    addresses: [IpPrefix.from('10.0.0.2/24')],
  })
  await host.ready()
  before?.(host)
  const link = `--link udp:127.0.0.1:${there}-127.0.0.1:${here} --address 10.0.0.1/24`
  const [program, ...rest] = command(`nc -v ${link} ${words}`) as [string, ...string[]]
  const nc = spawn(program, rest)
  let said = ''
  nc.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  try {
    await body({ host, nc, said: () => said })
  } finally {
    nc.kill('SIGKILL')
    await host.close()
  }
}

const dial = (host: Host): Promise<TcpSocket> =>
  TcpSocket.connect(host.stack, { remoteAddress: IpAddress.from('10.0.0.1'), remotePort: 5_000 })

test('nc -l -k goes on after a client that resets its connection', () =>
  withNc('-l -k 5000', async ({ host, nc, said }) => {
    await expect.poll(said, { timeout: 20_000 }).toContain('listening')
    const first = await dial(host)
    await expect.poll(said).toContain('connection from')
    first.abort()
    await expect.poll(said).toMatch(/nc: connection from 10\.0\.0\.2 port \d+: ECONNRESET/)
    const second = await dial(host)
    await second.write(new TextEncoder().encode('second'))
    const [text] = await once(nc.stdout!.setEncoding('utf8'), 'data')
    expect(text).toBe('second')
    second.abort()
  }))

test('nc that is interrupted ends its connection, says nothing of it, and ends with 130', () => {
  let listener: TcpListener | null = null
  return withNc(
    '10.0.0.2 5000',
    async ({ nc, said }) => {
      const accepted = await listener!.accept()
      await expect.poll(said).toContain('connected to')
      const closed = once(nc, 'close')
      nc.kill('SIGINT')
      expect(await accepted.read(new Uint8Array(10))).toBe(0)
      accepted.close()
      expect(await closed).toEqual([130, null])
      expect(said()).toBe('connected to 10.0.0.2 port 5000\n')
      listener!.close()
    },
    ({ stack }) => {
      listener = new TcpListener(stack, { family: 4, port: 5_000 })
    },
  )
})

test('nc -u sends each piece of input as a datagram and prints the answers; a closed port ends it with 1', () => {
  let peer: UdpSocket | null = null
  return withNc(
    '-u 10.0.0.2 5000',
    async ({ nc, said }) => {
      nc.stdin!.write('hello')
      const { bytes, source, sourcePort } = await peer!.receive()
      expect(new TextDecoder().decode(bytes)).toBe('hello')
      peer!.send(new TextEncoder().encode('answer'), { address: source, port: sourcePort })
      expect(await once(nc.stdout!.setEncoding('utf8'), 'data')).toEqual(['answer'])
      peer!.close()
      const closed = once(nc, 'close')
      nc.stdin!.write('nobody')
      expect(await closed).toEqual([1, null])
      expect(said()).toMatch(/sending to 10\.0\.0\.2 port 5000\nnc: .*ECONNREFUSED/)
    },
    ({ stack }) => {
      peer = new UdpSocket(stack, { family: 4, port: 5_000 })
    },
  )
})

test('nc -l -u answers whoever spoke first, and with -w ends with 0 after so many seconds of silence', () =>
  withNc('-l -u -w 2 5000', async ({ host, nc, said }) => {
    await expect.poll(said, { timeout: 20_000 }).toContain('listening')
    const closed = once(nc, 'close')
    const peer = new UdpSocket(host.stack, { family: 4 })
    peer.connect('10.0.0.1', 5_000)
    peer.send(new TextEncoder().encode('question'))
    expect(await once(nc.stdout!.setEncoding('utf8'), 'data')).toEqual(['question'])
    nc.stdin!.write('reply')
    expect(new TextDecoder().decode((await peer.receive()).bytes)).toBe('reply')
    expect(said()).toContain(`datagram from 10.0.0.2 port ${peer.localPort}`)
    expect(await closed).toEqual([0, null])
  }))

test('nc -u refuses -z and -N in a sentence, for UDP has nothing to open or to end', () =>
  withNc('-u -N 10.0.0.2 5000', async ({ nc, said }) => {
    expect(await once(nc, 'close')).toEqual([2, null])
    expect(said()).toMatch(/nc -u takes neither -z nor -N: .*try -w SECONDS/)
  }))
