// The packets of a script at their time: those for the stack are built and handed in, those of the stack are waited
// for and compared. Which flow a packet belongs to is decided here.

import { after, type Micros, micros } from '../time.ts'
import { PROTOCOL_TCP } from '../wire/ipv4.ts'
import { seqAdd, seqAtMost } from '../wire/sequence.ts'
import { ACK, CWR, FIN, PSH, RST, SYN, tcpAck, tcpSeq } from '../wire/tcp.ts'
import { buildPacket } from './build.ts'
import { differences } from './compare.ts'
import { Flow } from './flow.ts'
import { scriptError } from './lexer.ts'
import { flagsOf, isIcmp, isOfFlow, type LivePacket, makeOctets, payloadAt, payloadLength } from './live-packet.ts'
import { notationOf } from './notation.ts'
import type { ScriptPacket } from './script.ts'
import type { ScriptHost } from './script-host.ts'

/** How long after its time a packet of the stack is waited for. */
const PATIENCE = 2_000_000 as Micros
const FIRST_REMOTE_PORT = 40_000

export class PacketEvents {
  private readonly host: ScriptHost
  private nextRemotePort = FIRST_REMOTE_PORT

  constructor(host: ScriptHost) {
    this.host = host
  }

  inject(packet: ScriptPacket): void {
    const { host } = this
    const flow = this.flowOf(packet)
    const bytes = buildPacket(packet, flow, host.script.options.has('tcp_ts_ecr_scaled'))
    if (typeof bytes === 'string') throw scriptError(host.script.file, packet.line, bytes)
    if (packet.body.kind === 'tcp' && (packet.body.flags & SYN) !== 0) flow.noteRemoteSyn(packet.body.seq)
    host.device.inject(host.stack.pool, bytes)
  }

  /** Waits for the next packet of the flow and compares it; `when` is null where its time does not matter. */
  expect(packet: ScriptPacket, when: { from: Micros; to: Micros } | null): void {
    const { host } = this
    const flow = this.flowOf(packet)
    const limit = when === null ? after(host.clock.now(), host.anyTime) : host.instantOf(micros(when.to + PATIENCE))
    for (;;) {
      const live = this.await(flow, limit)
      if (live === null) return host.fail(packet.line, 'the stack sent nothing', this.textOf(packet, when), null)
      const whole = this.gather(packet, live, flow, limit)
      const tolerance = host.tolerance(when?.from ?? host.now)
      const found = differences(packet, whole, flow, {
        level: host.options.level,
        stampTick: Number(host.script.options.get('tcp_ts_tick_usecs') ?? 0),
        toleranceMicros: tolerance,
      })
      if (found.length > 0 && host.options.level === 'portable' && isExtraAck(live, flow)) continue
      const at = host.timeOf(live.at)
      if (when !== null && (at < when.from - tolerance || at > when.to + tolerance)) found.push('the time differs')
      if (found.length > 0) {
        host.fail(
          packet.line,
          found.join('; '),
          this.textOf(packet, when),
          `${host.timeText(at)} ${notationOf(whole, flow)}`,
        )
      }
      return
    }
  }

  /** Finds the stack's connection of each flow as soon as it exists. */
  follow(): void {
    const { demux } = this.host.stack.tcp
    for (const flow of this.host.sockets.flows) {
      if (flow.protocol === 'udp' || flow.localPort === 0 || flow.remotePort === 0) continue
      flow.connection = demux.find(flow.local, flow.localPort, flow.remote, flow.remotePort) ?? flow.connection
    }
  }

  leftOver(): { live: LivePacket; flow: Flow }[] {
    const found: { live: LivePacket; flow: Flow }[] = []
    for (const live of this.host.device.sent) {
      const flow = this.host.sockets.flows.findLast((candidate) => isOfFlow(live, candidate))
      if (flow !== undefined) found.push({ live, flow })
    }
    return found
  }

  private textOf(packet: ScriptPacket, when: { from: Micros; to: Micros } | null): string {
    const { host } = this
    if (when === null) return `* ${packet.text}`
    const range = when.to === when.from ? '' : `~${host.timeText(when.to)}`
    return `${host.timeText(when.from)}${range} ${packet.text}`
  }

  private await(flow: Flow, limit: Micros): LivePacket | null {
    const { device } = this.host
    for (;;) {
      const index = device.sent.findIndex((live) => isOfFlow(live, flow))
      if (index >= 0) {
        const live = device.sent.splice(index, 1)[0]!
        learnPorts(live, flow)
        return live
      }
      if (!this.host.step(limit)) return null
    }
  }

  /** Segments that together are the one that the script expects, as one. */
  private gather(packet: ScriptPacket, first: LivePacket, flow: Flow, limit: Micros): LivePacket {
    const { body } = packet
    const { host } = this
    if (body.kind !== 'tcp' || first.protocol !== PROTOCOL_TCP || host.script.options.has('strict_segments'))
      return first
    const size = payloadLength(first)
    let total = size
    let last = first
    while (size > 0 && total < body.length && payloadLength(last) === size) {
      const next = this.peek(flow)
      if (next === null || next.at > limit || !follows(first, total, next)) break
      host.device.sent.splice(host.device.sent.indexOf(next), 1)
      total += payloadLength(next)
      last = next
    }
    return last === first ? first : joined(first, last, total)
  }

  private peek(flow: Flow): LivePacket | null {
    return this.host.device.sent.find((live) => isOfFlow(live, flow)) ?? null
  }

  private flowOf(packet: ScriptPacket): Flow {
    const { sockets } = this.host
    const { addresses } = sockets
    const { body, inbound } = packet
    const ports = body.kind === 'icmp' ? null : body.ports
    const protocol = body.kind === 'icmp' ? (sockets.current?.protocol ?? 'tcp') : body.kind
    if (ports !== null) {
      const localPort = inbound ? ports.destination : ports.source
      const remotePort = inbound ? ports.source : ports.destination
      const known = sockets.flows.find(
        (flow) => flow.localPort === localPort && flow.remotePort === remotePort && flow.protocol === protocol,
      )
      return this.choose(known ?? this.add(new Flow({ ...addresses, protocol, localPort, remotePort })))
    }
    const { current } = sockets
    if (current === null || current.protocol !== protocol) {
      const fields = { ...addresses, protocol, localPort: addresses.bindPort, remotePort: this.nextRemotePort++ }
      return this.add(new Flow(fields))
    }
    if (!inbound || current.remotePort !== 0 || body.kind === 'icmp') return current
    const remotePort = this.nextRemotePort++
    if (protocol === 'udp') {
      current.remotePort = remotePort
      return current
    }
    return this.add(
      new Flow({ ...addresses, protocol, localPort: current.localPort || addresses.bindPort, remotePort }),
    )
  }

  private add(flow: Flow): Flow {
    this.host.sockets.flows.push(flow)
    return this.choose(flow)
  }

  private choose(flow: Flow): Flow {
    this.host.sockets.current = flow
    return flow
  }
}

function learnPorts(live: LivePacket, flow: Flow): void {
  if (isIcmp(live)) return
  if (flow.localPort === 0) flow.localPort = live.sourcePort
  if (flow.remotePort === 0) flow.remotePort = live.destinationPort
}

/** Flags that may differ among the segments of one write. */
const LAST_ONLY = FIN | PSH | CWR

function follows(first: LivePacket, total: number, next: LivePacket): boolean {
  if (next.protocol !== PROTOCOL_TCP || payloadLength(next) === 0) return false
  const start = tcpSeq(first.octets.view, first.transportAt)
  if (tcpSeq(next.octets.view, next.transportAt) !== seqAdd(start, total)) return false
  return (flagsOf(first) & ~LAST_ONLY) === (flagsOf(next) & ~LAST_ONLY)
}

/** One segment with the first one's header, the last one's flags, and the payload of all. */
function joined(first: LivePacket, last: LivePacket, total: number): LivePacket {
  const at = payloadAt(first)
  const octets = makeOctets(at + total)
  octets.bytes.set(first.octets.bytes.subarray(0, at))
  const offset = octets.view.getUint16(first.transportAt + 12) & 0xfe00
  octets.view.setUint16(first.transportAt + 12, offset | flagsOf(last))
  return { ...first, octets, length: at + total }
}

/** RFC 9293 §3.8.6.3 leaves open when exactly an ACK goes: one that tells nothing else may be skipped. */
function isExtraAck(live: LivePacket, flow: Flow): boolean {
  if (live.protocol !== PROTOCOL_TCP || payloadLength(live) > 0) return false
  if ((flagsOf(live) & (SYN | FIN | RST | ACK)) !== ACK) return false
  const { view } = live.octets
  const { connection } = flow
  if (connection === null) return false
  const isKnown = seqAtMost(tcpSeq(view, live.transportAt), connection.snd.nxt)
  return isKnown && seqAtMost(tcpAck(view, live.transportAt), connection.rcv.nxt)
}
