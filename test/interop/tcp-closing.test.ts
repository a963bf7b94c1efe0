// Connections with Linux's programs that end in good order: nc that shuts one direction and goes on in the other, whichever side
// begins, and thousands of ab's, each opened, used and closed.

import { afterAll, describe, expect, it } from 'vitest'
import { TcpListener } from '../../src/socket/tcp-listener.ts'
import { TcpSocket } from '../../src/socket/tcp-socket.ts'
import type { Connection, TcpState } from '../../src/tcp/connection.ts'
import { MIB, UploadFiles } from '../support/curl.ts'
import { Captures } from '../support/hourglass.ts'
import { serveHttp } from '../support/http-server.ts'
import { needRoot } from '../support/namespace.ts'
import { digestOf, PseudoRandomBytes } from '../support/pseudo-random.ts'
import { listening, readStream, sendStream } from '../support/socket-streams.ts'
import { type Family, linux, ours, urlHost } from '../support/tap-host.ts'
import { needTool } from '../support/tools.ts'
import { withWatchedHost } from '../support/watched-host.ts'

const root = needRoot()
const tools = ['nc', 'ab', 'ss', 'tshark', 'tcpdump'].every(needTool)
const files = new UploadFiles()
const captures = new Captures()
afterAll(() => {
  files.remove()
  captures.remove()
})

const FAMILIES: readonly Family[] = [4, 6]
const OFFLOADS = [true, false]
const SIZE = MIB / 2
const PORT = 5_000
const FROM_US = 1
const FROM_NC = 2

async function untilState(connection: Connection, state: TcpState): Promise<void> {
  for (const patience = performance.now() + 10_000; connection.state !== state; ) {
    if (performance.now() > patience) throw new Error(`not ${state} but ${connection.state}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const toldDigest = (stdout: string): string | undefined => stdout.split(' ')[0]

describe.skipIf(!root || !tools).each(OFFLOADS)('a half-close, with offloads: %s', (offload) => {
  it('by nc leaves our direction open: CLOSE-WAIT, LAST-ACK (RFC 9293 §3.6, Figure 12)', () =>
    withWatchedHost(captures, { offload }, async ({ stack }, namespace) => {
      const listener = new TcpListener(stack, { family: 6, port: PORT })
      for (const family of FAMILIES) {
        const line = `nc -n -N -${family} ${ours(family)} ${PORT} < ${files.path(FROM_NC, SIZE)} | sha256sum`
        const nc = namespace.spawn(['sh', '-c', line])
        const socket = await listener.accept()
        expect(await readStream(socket)).toEqual({ bytes: SIZE, sha256: digestOf(FROM_NC, SIZE) })
        expect(socket.connection.state).toBe('CLOSE-WAIT')
        await sendStream(socket, FROM_US, SIZE)
        expect(socket.connection.state).toBe('CLOSE-WAIT')
        socket.close()
        const { code, stdout } = await nc.finished
        expect([code, toldDigest(stdout)]).toEqual([0, digestOf(FROM_US, SIZE)])
        await untilState(socket.connection, 'CLOSED')
        expect(socket.connection.error).toBeNull()
      }
      listener.close()
    }))

  it('by us leaves the direction of nc open: FIN-WAIT-2, TIME-WAIT (RFC 9293 §3.6, Figure 12)', () =>
    withWatchedHost(captures, { offload }, async ({ stack }, namespace) => {
      const listener = new TcpListener(stack, { family: 6, port: PORT })
      for (const family of FAMILIES) {
        const nc = namespace.spawn(['sh', '-c', `nc -n -N -${family} ${ours(family)} ${PORT} | sha256sum`])
        const socket = await listener.accept()
        await sendStream(socket, FROM_US, SIZE)
        socket.shutdown()
        await untilState(socket.connection, 'FIN-WAIT-2')
        nc.child.stdin.end(Buffer.concat([...new PseudoRandomBytes(FROM_NC, SIZE)]))
        expect(await readStream(socket)).toEqual({ bytes: SIZE, sha256: digestOf(FROM_NC, SIZE) })
        const { code, stdout } = await nc.finished
        expect([code, toldDigest(stdout)]).toEqual([0, digestOf(FROM_US, SIZE)])
        expect([socket.connection.state, socket.connection.error]).toEqual(['TIME-WAIT', null])
        socket.close()
      }
      listener.close()
    }))

  it('by an nc that we called is no different', () =>
    withWatchedHost(captures, { offload }, async ({ stack }, namespace) => {
      for (const family of FAMILIES) {
        const line = `nc -n -v -N -${family} -l ${PORT} < ${files.path(FROM_NC, SIZE)} | sha256sum`
        const nc = await listening(namespace, line)
        const socket = await TcpSocket.connect(stack, { remoteAddress: linux(family), remotePort: PORT })
        expect(await readStream(socket)).toEqual({ bytes: SIZE, sha256: digestOf(FROM_NC, SIZE) })
        expect(socket.connection.state).toBe('CLOSE-WAIT')
        await sendStream(socket, FROM_US, SIZE)
        socket.close()
        const { code, stdout } = await nc.finished
        expect([code, toldDigest(stdout)]).toEqual([0, digestOf(FROM_US, SIZE)])
        await untilState(socket.connection, 'CLOSED')
      }
    }))
})

const REQUESTS = 1_000
const AT_ONCE = 8

describe.skipIf(!root || !tools)('a thousand connections of ab', () => {
  it.each(FAMILIES)('are opened, served and closed, none fails and none is left, over IPv%d', (family) =>
    withWatchedHost(captures, { offload: family === 4 }, async ({ stack }, namespace) => {
      const server = serveHttp(stack)
      const words = `ab -q -s 30 -n ${REQUESTS} -c ${AT_ONCE} http://${urlHost(family)}/100/1`
      const told = await namespace.must(words, 60_000)
      expect(told).toMatch(new RegExp(`^Complete requests: +${REQUESTS}$`, 'm'))
      expect(told).toMatch(/^Failed requests: +0$/m)
      expect(told).toMatch(new RegExp(`^HTML transferred: +${100 * REQUESTS} bytes$`, 'm'))
      // Those that ab opened ahead and did not need any more are closed unused.
      const { accepted, failed } = server.counts
      expect(failed).toBe(0)
      expect(accepted).toBeGreaterThanOrEqual(REQUESTS)
      expect(accepted).toBeLessThan(REQUESTS + AT_ONCE)
      const { counters, tcp } = stack
      expect(counters).toMatchObject({
        TcpPassiveOpens: accepted,
        TcpEstabResets: 0,
        TcpOutRsts: 0,
        TcpAttemptFails: 0,
      })
      expect(await namespace.must('ss -tnH state connected exclude time-wait')).toBe('')
      // We close first, and so the waiting is ours (RFC 9293 §3.6); of those that ab did not use it is not.
      expect(counters.TcpExtTW).toBeGreaterThanOrEqual(REQUESTS)
      expect(tcp.demux.size).toBe(counters.TcpExtTW)
      server.close()
    }),
  )
})

describe.skipIf(!root || !tools)('every capture of the tests in tcp-closing.test.ts', () => {
  it('is read by tshark to its end, without a malformed packet or a wrong checksum', () => {
    const { files, wrong } = captures.check()
    expect(wrong).toEqual([])
    expect(files).toBe(2 * (3 * OFFLOADS.length + FAMILIES.length))
  })
})
