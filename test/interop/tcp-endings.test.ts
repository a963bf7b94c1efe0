// Connections with Linux that stand still, and connections that end badly: windows shut for ten seconds, peers that are killed,
// links that go down, ports where nobody listens, hosts that are not there, and our own end without a word.

import { afterAll, describe, expect, it } from 'vitest'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Stack } from '../../src/stack.ts'
import type { Connection } from '../../src/tcp/connection.ts'
import type { ConnectionOptions } from '../../src/tcp/connection-options.ts'
import { seconds } from '../../src/time.ts'
import { IpAddress } from '../../src/wire/address.ts'
import { MIB } from '../support/curl.ts'
import { Captures, tshark, up } from '../support/hourglass.ts'
import { type Namespace, needRoot, type Running, withNamespace } from '../support/namespace.ts'
import { digestOf } from '../support/pseudo-random.ts'
import { readStream, sendStream } from '../support/socket-streams.ts'
import { DEVICE, type Family, LINUX4, linux, ours, US4 } from '../support/tap-host.ts'
import { needTool } from '../support/tools.ts'
import { withWatchedHost } from '../support/watched-host.ts'

const root = needRoot()
const tools = ['tshark', 'tcpdump', 'nft', 'ss'].every(needTool)
const captures = new Captures()
afterAll(() => captures.remove())

const FAMILIES: readonly Family[] = [4, 6]
const PORT = 5_000
const SIZE = 4 * MIB
const SHUT_MILLIS = 10_000
const PEER = 'test/interop/linux-peer.ts'

/** With offloads over IPv4, and without over IPv6: there the checksums in Linux's capture are whole as well. */
const watched = (family: Family, body: Parameters<typeof withWatchedHost>[2]): Promise<void> =>
  withWatchedHost(captures, { offload: family === 4 }, body)

/** The length of the silence is what is tested. */
const silence = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))
const tell = (peer: Running, word: string): void => void peer.child.stdin.write(`${word}\n`)

/** A program on Linux, and our connection to it. */
async function callPeer(
  stack: Stack,
  namespace: Namespace,
  family: Family,
  options: Partial<ConnectionOptions> = {},
): Promise<{ peer: Running; socket: TcpSocket }> {
  const peer = namespace.script(PEER, 'listen', String(PORT))
  await peer.printed(/listening/)
  const socket = await TcpSocket.connect(stack, { remoteAddress: linux(family), remotePort: PORT, options })
  await peer.printed(/connected/)
  return { peer, socket }
}

/** A program on Linux connected to us. */
async function peerCalls(stack: Stack, namespace: Namespace, family: Family) {
  const listener = new TcpListener(stack, { family: 6, port: PORT })
  const peer = namespace.script(PEER, 'connect', ours(family), String(PORT))
  const socket = await listener.accept()
  await peer.printed(/connected/)
  listener.close()
  return { peer, socket }
}

/** Not expect().rejects, which confuses tests that run at the same time with one another. */
const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'none',
    (error: NodeJS.ErrnoException) => error.code ?? String(error),
  )

/** Until Linux, or we, can send nothing more: the window is smaller than a segment, and nothing is on its way. */
async function untilShut({ rcv, snd, receiveQueue }: Connection, window: 'rcv' | 'snd'): Promise<void> {
  for (const patience = performance.now() + 10_000; ; ) {
    const isShut = window === 'rcv' ? rcv.wnd < snd.mss : snd.wnd === 0 && snd.una === snd.nxt
    if (isShut) return
    if (performance.now() > patience)
      throw new Error(`not shut: ${JSON.stringify({ rcv, snd, available: receiveQueue.available })}`)
    await silence(10)
  }
}

describe.skipIf(!root || !tools).concurrent('a window that is shut for ten seconds', () => {
  it.each(FAMILIES)('by a program on Linux that does not read ends in all that we sent, over IPv%d', (family) =>
    watched(family, async ({ stack }, namespace) => {
      const { peer, socket } = await callPeer(stack, namespace, family)
      const { connection } = socket
      const sent = sendStream(socket, 7, SIZE).then(() => socket.shutdown())
      await untilShut(connection, 'snd')
      const { una } = connection.snd
      await silence(SHUT_MILLIS)
      expect(connection.snd).toMatchObject({ wnd: 0, una })
      expect(connection.state).toBe('ESTABLISHED')
      // The first after a time-out, then each after twice the pause (RFC 9293 §3.8.6.1): 0.2, 0.6, 1.4, 3.0, 6.2 s.
      expect(connection.persistBackoffs).toBeGreaterThanOrEqual(4)
      expect(connection.probesSent).toBe(0)
      tell(peer, 'read')
      await sent
      const [, bytes, sha256] = await peer.printed(/ended ([0-9]+) ([0-9a-f]+)/)
      expect({ bytes: Number(bytes), sha256 }).toEqual({ bytes: SIZE, sha256: digestOf(7, SIZE) })
      tell(peer, 'finish')
      expect(await readStream(socket)).toMatchObject({ bytes: 0 })
      socket.close()
    }),
  )

  it.each(FAMILIES)('by us ends in all that Linux sent, and costs no more than the buffer, over IPv%d', (family) =>
    watched(family, async ({ stack, pool }, namespace) => {
      const listener = new TcpListener(stack, { family: 6, port: PORT })
      const line = `head -c ${SIZE} /dev/zero | tr '\\0' 'x' | nc -n -N -${family} ${ours(family)} ${PORT}`
      const peer = namespace.spawn(['sh', '-c', line])
      const socket = await listener.accept()
      const { connection } = socket
      await untilShut(connection, 'rcv')
      await silence(SHUT_MILLIS)
      const { receiveLimit, receiveQueue, rcv, segmentsSent } = connection
      // Each ACK rounds the window up to a whole unit of its scale, as Linux's do.
      expect(receiveQueue.available).toBeLessThan(receiveLimit + segmentsSent * (1 << rcv.windowScale))
      expect(pool.inUseBytes).toBeLessThan(8 * receiveLimit)
      expect(await namespace.must(`ss -tnoi dport = :${PORT}`)).toMatch(/timer:\(persist,/)
      expect((await readStream(socket)).bytes).toBe(SIZE)
      socket.close()
      expect((await peer.finished).code).toBe(0)
      listener.close()
    }),
  )
})

describe.skipIf(!root || !tools).concurrent('a program on Linux that is killed', () => {
  it.each(FAMILIES)('with nothing left unread finishes; what we write then is answered by RST, over IPv%d', (family) =>
    watched(family, async ({ stack }, namespace) => {
      const { peer, socket } = await peerCalls(stack, namespace, family)
      tell(peer, 'read')
      peer.child.kill('SIGKILL')
      expect((await readStream(socket)).bytes).toBe(0)
      expect(socket.connection.state).toBe('CLOSE-WAIT')
      await socket.write(new Uint8Array(10))
      expect(await codeOf(socket.flush())).toBe('EPIPE')
      expect(await codeOf(socket.write(new Uint8Array(10)))).toBe('EPIPE')
      socket.close()
    }),
  )

  it.each(FAMILIES)('with bytes left unread resets the connection, over IPv%d', (family) =>
    watched(family, async ({ stack }, namespace) => {
      const { peer, socket } = await peerCalls(stack, namespace, family)
      // Its stream would read a first chunk of itself.
      peer.child.kill('SIGSTOP')
      await socket.write(new Uint8Array(1_000))
      await socket.flush()
      const reading = socket.read(new Uint8Array(10))
      peer.child.kill('SIGKILL')
      expect(await codeOf(reading)).toBe('ECONNRESET')
      expect(stack.counters.TcpEstabResets).toBe(1)
      socket.close()
    }),
  )
})

const PATIENCE = seconds(2)
const KEEP_ALIVE = {
  keepAlive: true,
  keepAliveIdle: seconds(1),
  keepAliveInterval: seconds(0.5),
  keepAliveCount: 3,
}

describe.skipIf(!root || !tools).concurrent('a peer that falls silent', () => {
  for (const [what, command] of [
    ['behind a filter', 'nft add rule inet silent input meta l4proto tcp drop'],
    ['as its link goes down', `ip link set ${DEVICE} down`],
  ] as const)
    for (const family of FAMILIES) {
      it(`${what} is found out by the user time-out, in its time, over IPv${family} (RFC 5482)`, () =>
        watched(family, async ({ stack }, namespace) => {
          const { socket } = await callPeer(stack, namespace, family, { userTimeout: PATIENCE })
          await fallSilent(namespace, command)
          await socket.write(new Uint8Array(10))
          const began = performance.now()
          expect(await codeOf(socket.flush())).toBe('ETIMEDOUT')
          expectAbout(performance.now() - began, PATIENCE / 1_000)
        }))

      it(`${what} is found out by keep-alive, after the idle time and each interval, over IPv${family}`, () =>
        watched(family, async ({ stack }, namespace) => {
          const { socket } = await callPeer(stack, namespace, family, KEEP_ALIVE)
          const began = performance.now()
          await fallSilent(namespace, command)
          expect(await codeOf(socket.read(new Uint8Array(1)))).toBe('ETIMEDOUT')
          expectAbout(performance.now() - began, 1_000 + 3 * 500)
          expect(stack.counters.TcpExtTCPKeepAlive).toBe(3)
        }))
    }
})

async function fallSilent(namespace: Namespace, command: string): Promise<void> {
  await namespace.must('nft add table inet silent')
  await namespace.must(['nft', 'add chain inet silent input { type filter hook input priority 0; }'])
  await namespace.must(command)
}

/** Never much earlier; later as far as a busy machine makes it. */
function expectAbout(took: number, millis: number): void {
  expect(took).toBeGreaterThan(0.8 * millis)
  expect(took).toBeLessThan(millis + 3_000)
}

describe.skipIf(!root || !tools).concurrent('a connection that cannot be made', () => {
  it.each(FAMILIES)('is refused at a port where nobody listens, over IPv%d (RFC 9293 §3.5.2)', (family) =>
    watched(family, async ({ stack }) => {
      const target = { remoteAddress: linux(family), remotePort: PORT }
      expect(await codeOf(TcpSocket.connect(stack, target))).toBe('ECONNREFUSED')
    }),
  )

  it.each([
    ['10.77.0.99', 'is unreachable as no neighbour answers', 'EHOSTUNREACH'],
    ['fd77::99', 'is unreachable as no neighbour answers', 'EHOSTUNREACH'],
    ['10.99.0.1', 'is unreachable as the router says', 'EHOSTUNREACH'],
    // What Linux says of an unreachable route is, over IPv6, that there is none.
    ['fd99::1', 'has no route as the router says', 'ENETUNREACH'],
  ])('is told that the host %s %s', (target, _why, code) =>
    watched(target.includes(':') ? 6 : 4, async ({ stack }, router) => {
      await router.must('sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1')
      for (const network of ['10.99.0.0/24', 'fd99::/64']) await router.must(`ip route add unreachable ${network}`)
      for (const family of FAMILIES) stack.addGateway(linux(family))
      const remoteAddress = IpAddress.from(target)
      const dialled = TcpSocket.connect(stack, { remoteAddress, remotePort: PORT })
      expect(await codeOf(dialled)).toBe(code)
    }),
  )

  it.each(FAMILIES)('by Linux is refused at a port of ours where nobody listens, over IPv%d', (family) =>
    watched(family, async (_host, namespace) => {
      const peer = namespace.script(PEER, 'connect', ours(family), String(PORT))
      const { stderr } = await peer.finished
      expect(stderr).toContain(`connect ECONNREFUSED ${ours(family)}`)
    }),
  )
})

describe.skipIf(!root || !tools)('our process, killed in the midst of a connection', () => {
  it('says nothing; the one that comes after it resets what it does not know (RFC 9293 §3.5.1)', () =>
    withNamespace(async (namespace) => {
      await namespace.must(`ip tuntap add dev ${DEVICE} mode tap`)
      const capture = captures.path()
      const words = `--link tap:${DEVICE} --address ${US4}/24 --os-address ${LINUX4}/24 --serve echo`
      const before = await up(namespace, words)
      const peer = namespace.script(PEER, 'connect', US4, '7')
      await peer.printed(/connected/)
      before.running.child.kill('SIGKILL')
      await before.running.finished
      const after = await up(namespace, `${words} --capture ${capture}`)
      tell(peer, 'read')
      tell(peer, 'say')
      await peer.printed(/error ECONNRESET/)
      const { end } = await after.stop()
      expect(end.counters.TcpOutRsts).toBe(1)
      expect(tshark(capture, 'tcp.flags.reset == 1 && ip.src == 10.77.0.2')).toHaveLength(1)
    }))
})

describe.skipIf(!root || !tools)('every capture of the tests in tcp-endings.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBe(2 * 24 + 1)
  })
})
