// What peers of Linux see when `hourglass up` is interrupted with connections open: what they would see of a Linux machine
// whose process ends, for as long as the host can stay.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { chargenLines } from '../../src/node/services.ts'
import type { LiveState } from '../../src/node/status/live-state.ts'
import { Captures, tshark, up } from '../support/hourglass.ts'
import { type Namespace, needRoot, type Running, withNamespace } from '../support/namespace.ts'
import { needTool } from '../support/tools.ts'

const HOST =
  '--link tap:hg0 --address 10.77.0.2/24 --os-address 10.77.0.1/24 --serve echo,chargen --http 80 --no-control'
const captures = new Captures()
const folder = mkdtempSync(join(tmpdir(), 'hourglass-leave-'))
afterAll(() => {
  captures.remove()
  rmSync(folder, { recursive: true })
})

/** The states of Linux's ends of the connections with ports of their own, by those. */
async function statesOf(namespace: Namespace): Promise<Record<string, string>> {
  const lines = (await namespace.must(['ss', '-Htan', '( sport >= :40001 and sport <= :40004 )']))
    .split('\n')
    .filter((line) => line !== '')
  const cells = lines.map((line) => line.trim().split(/\s+/))
  return Object.fromEntries(cells.map(([state, , , local]) => [local!.replace(/^.*:/, ''), state!]))
}

/** Waits until Linux's end of that port has the state. */
const until = (namespace: Namespace, port: number, state: string): Promise<string> =>
  namespace.must(['sh', '-c', `until ss -Htan sport = :${port} | grep -q ^${state}; do sleep 0.01; done`])

/** So many looks that find the same mean that nothing moves. */
const SAME_LOOKS = 6
const LOOK_MILLIS = 40

/** Waits until the host has bytes for the peers of these ports that they do not take, while it goes on to answer others. */
async function untilStuck(namespace: Namespace, ports: readonly number[]): Promise<void> {
  let before = ''
  for (let same = 0; same < SAME_LOOKS; ) {
    const { connections } = JSON.parse(await namespace.must('curl -sS http://10.77.0.2/state.json')) as LiveState
    const seen = connections.rows.filter(({ remotePort, sendQueue }) => ports.includes(remotePort) && sendQueue > 0)
    const now = JSON.stringify(seen)
    same = seen.length === ports.length && now === before ? same + 1 : 0
    before = now
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLIS))
  }
}

/** How the host ended a connection: by what, at which second, and how many bytes it had sent by then. */
interface Ending {
  readonly by: 'FIN' | 'RST'
  readonly at: number
  readonly bytes: number
}

const FIELDS = ['tcp.dstport', 'tcp.flags.reset', 'frame.time_relative', 'tcp.seq', 'tcp.len']

/** By the peer's port, in their order. */
function endingsOf(capture: string): Record<string, Ending[]> {
  const filter = 'ip.src == 10.77.0.2 && tcp.srcport < 80 && (tcp.flags.fin == 1 || tcp.flags.reset == 1)'
  const endings: Record<string, Ending[]> = {}
  for (const line of tshark(capture, filter, '-T', 'fields', ...FIELDS.flatMap((field) => ['-e', field]))) {
    const [port, reset, at, seq, length] = line.split('\t') as [string, string, string, string, string]
    const ending = { by: /1|True/.test(reset) ? 'RST' : 'FIN', at: Number(at), bytes: Number(seq) - 1 + Number(length) }
    ;(endings[port] ??= []).push(ending as Ending)
  }
  return endings
}

/** Programs whose output nobody reads, until they are to end. */
async function withDeaf(programs: readonly Running[], body: () => Promise<void>): Promise<void> {
  for (const { child } of programs) child.stdout.pause()
  try {
    await body()
  } finally {
    for (const { child } of programs) {
      child.kill()
      child.stdout.resume()
    }
  }
}

describe.skipIf(!needRoot() || !needTool('nc') || !needTool('ss') || !needTool('curl') || !needTool('tshark'))(
  'peers of an interrupted host',
  () => {
    it('get FIN behind all that was written, RST where the host did not read, and RST where they do not take it within a second', () =>
      withNamespace(async (namespace) => {
        const capture = captures.path()
        const read = join(folder, 'read')
        const host = await up(namespace, `${HOST} --capture ${capture}`)
        // It waits for its terminal, which goes on.
        namespace.spawn('nc -p 40001 10.77.0.2 7')
        // It sends and reads nothing: echo cannot write, and reads no more.
        const sender = namespace.spawn(['sh', '-c', 'exec nc -p 40002 10.77.0.2 7 < /dev/zero'])
        const stopped = namespace.spawn('nc -d -p 40004 10.77.0.2 19')
        await withDeaf([sender, stopped], async () => {
          await until(namespace, 40_001, 'ESTAB')
          await untilStuck(namespace, [40_002, 40_004])
          const reader = namespace.spawn(['sh', '-c', `exec nc -d -p 40003 10.77.0.2 19 > ${read}`])
          await until(namespace, 40_003, 'ESTAB')
          const { code, stderr, end } = await host.stop()
          expect([code, stderr, end.pagesInUse]).toEqual([130, '', 0])
          expect((await reader.finished).code).toBe(0)
          // Two were reset; the first may still write, if it likes. The one that read to the end has ended, in order or, where
          // its end came late, without an answer.
          const { 40003: late = 'LAST-ACK', ...states } = await statesOf(namespace)
          expect(states).toEqual({ 40001: 'CLOSE-WAIT' })
          expect(late).toBe('LAST-ACK')
        })
        const endings = endingsOf(capture)
        // What crosses an RST is answered by another, and a FIN may be sent twice.
        const ways = Object.fromEntries(
          Object.entries(endings).map(([port, all]) => [port, new Set(all.map(({ by }) => by))]),
        )
        expect(ways).toEqual({
          40001: new Set(['FIN']),
          40002: new Set(['RST']),
          40003: new Set(['FIN']),
          40004: new Set(['RST']),
        })
        expect(endings[40_001]![0]!.bytes).toBe(0)
        const got = readFileSync(read)
        expect(got.length).toBeGreaterThan(0)
        expect(got.length).toBe(endings[40_003]![0]!.bytes)
        const lines = Math.ceil(got.length / chargenLines(0, 1).length)
        expect(got.equals(chargenLines(0, lines).subarray(0, got.length))).toBe(true)
        expect(endings[40_004]![0]!.at - endings[40_001]![0]!.at).toBeGreaterThan(0.5)
      }))

    it('are left at once where a second signal says so', () =>
      withNamespace(async (namespace) => {
        const host = await up(namespace, HOST)
        namespace.spawn('nc -p 40001 10.77.0.2 7')
        const stopped = namespace.spawn('nc -d -p 40004 10.77.0.2 19')
        await withDeaf([stopped], async () => {
          await until(namespace, 40_001, 'ESTAB')
          await untilStuck(namespace, [40_004])
          const { child, finished } = host.running
          child.kill('SIGINT')
          await until(namespace, 40_001, 'CLOSE-WAIT')
          child.kill('SIGINT')
          const { stdout } = await finished
          expect(child.signalCode).toBe('SIGINT')
          expect(stdout).not.toContain('"event":"end"')
        })
        expect((await namespace.run('ip link show hg0')).code).not.toBe(0)
      }))
  },
)
