// Echo requests and what comes back: what ping and traceroute are made of (RFC 792, RFC 4443).

import { Packet } from '../buf/packet.ts'
import { copyInto } from '../buf/page.ts'
import { NetError } from '../errors.ts'
import type { EchoClient } from '../ip/echo-clients.ts'
import { codeOfNoWay, type IcmpError, reasonOfNoWay, type SendOptions, type Way } from '../ip/seams.ts'
import { sumFrom } from '../link/segmentation.ts'
import type { Stack } from '../stack.ts'
import type { Micros } from '../time.ts'
import type { Family, IpAddress } from '../wire/address.ts'
import { complement } from '../wire/checksum.ts'
import { echoRest, echoSequence, emitIcmp, ICMP4_ECHO, ICMP4_HEADER } from '../wire/icmp4.ts'
import { ICMP6_ECHO_REQUEST } from '../wire/icmp6.ts'
import { ipv4Ttl, PROTOCOL_ICMP4, PROTOCOL_ICMP6, pseudoHeaderSum } from '../wire/ipv4.ts'
import { ipv6HopLimit } from '../wire/ipv6.ts'

export interface EchoReply {
  readonly source: IpAddress
  readonly sequence: number
  readonly hopLimit: number
  /** Payload bytes. */
  readonly length: number
  readonly bytes: Uint8Array
  readonly at: Micros
}

export interface EchoFailure {
  readonly error: IcmpError
  readonly sequence: number
  readonly at: Micros
}

export interface EchoOptions {
  hopLimit?: number
  trafficClass?: number
  dontFragment?: boolean
  source?: IpAddress
  interfaceIndex?: number
}

export class IcmpSocket implements EchoClient {
  readonly family: Family
  readonly identifier: number
  onEchoReply: ((reply: EchoReply) => void) | null = null
  onEchoError: ((failure: EchoFailure) => void) | null = null
  private readonly stack: Stack
  private closed = false

  /** `identifier` 0: a free one. Throws NetError: EADDRINUSE, EINVAL, EMFILE. */
  constructor(stack: Stack, family: Family, identifier = 0) {
    if (family !== 4 && family !== 6) throw new NetError('EINVAL', `family ${String(family)}: give 4 or 6`)
    this.stack = stack
    this.family = family
    this.identifier = this.echoes.open(this, identifier)
  }

  /** Sends one echo request. Throws NetError: ENETUNREACH, EADDRNOTAVAIL, EMSGSIZE, ENOBUFS, EBADF. */
  sendEcho(destination: IpAddress, sequence: number, payload: Uint8Array, options: EchoOptions = {}): void {
    if (this.closed) throw new NetError('EBADF', 'echo: the socket is closed')
    if (!(payload instanceof Uint8Array)) throw new NetError('EINVAL', 'echo: the payload is not a Uint8Array')
    if (destination.family !== this.family) throw new NetError('EAFNOSUPPORT', `echo ${destination}`)
    const { stack } = this
    const output = this.family === 4 ? stack.ipv4 : stack.ipv6
    const way = output.resolve(destination, {
      source: options.source ?? null,
      interfaceIndex: options.interfaceIndex ?? 0,
    })
    if (typeof way === 'string') throw new NetError(codeOfNoWay(way), `echo ${destination}: ${reasonOfNoWay(way)}`)
    if (payload.length + ICMP4_HEADER > 65_535 - (this.family === 4 ? 20 : 0)) {
      throw new NetError('EMSGSIZE', `echo ${destination}: ${payload.length} bytes`)
    }
    const packet = this.build(way, sequence, payload)
    const sendOptions: SendOptions = {
      protocol: this.family === 4 ? PROTOCOL_ICMP4 : PROTOCOL_ICMP6,
      hopLimit: options.hopLimit ?? 0,
      trafficClass: options.trafficClass ?? 0,
      dontFragment: options.dontFragment ?? false,
      routerAlert: false,
      multicastLoop: true,
    }
    this.count()
    const result = output.send(packet, way, sendOptions, stack.clock.now())
    stack.onWork?.()
    if (result === 'too-big') throw new NetError('EMSGSIZE', `echo ${destination}: the path MTU is ${output.mtu(way)}`)
    if (result === 'no-buffer') throw new NetError('ENOBUFS', `echo ${destination}`)
  }

  onReply(packet: Packet, source: IpAddress, _destination: IpAddress, now: Micros): void {
    if (this.onEchoReply === null) return
    const { view } = packet.page
    const ip = packet.networkAt
    const bytes = packet.toBytes().subarray(ICMP4_HEADER)
    this.onEchoReply({
      source,
      sequence: echoSequence(view, packet.data),
      hopLimit: this.family === 4 ? ipv4Ttl(view, ip) : ipv6HopLimit(view, ip),
      length: bytes.length,
      bytes,
      at: now,
    })
  }

  onError(packet: Packet, error: IcmpError, now: Micros): void {
    this.onEchoError?.({ error, sequence: echoSequence(packet.page.view, packet.data), at: now })
  }

  /** A second call does nothing. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.echoes.close(this.identifier)
  }

  private get echoes() {
    return this.family === 4 ? this.stack.icmp4.echoes : this.stack.icmp6.echoes
  }

  private build(way: Way, sequence: number, payload: Uint8Array): Packet {
    const packet = Packet.allocate(this.stack.pool, ICMP4_HEADER + payload.length)
    if (packet === null) throw new NetError('ENOBUFS', `echo ${way.destination}`)
    const at = packet.put(ICMP4_HEADER)
    const { view, bytes } = packet.page
    const type = this.family === 4 ? ICMP4_ECHO : ICMP6_ECHO_REQUEST
    emitIcmp(view, at, type, 0, echoRest(this.identifier, sequence & 0xffff))
    copyInto(bytes, packet.put(payload.length), payload, 0, payload.length)
    const pseudo = this.family === 4 ? 0 : pseudoHeaderSum(way.source, way.destination, PROTOCOL_ICMP6, packet.length)
    view.setUint16(at + 2, complement(sumFrom(packet, at) + pseudo))
    packet.checksum = 'complete'
    return packet
  }

  private count(): void {
    const { counters } = this.stack
    if (this.family === 4) {
      counters.IcmpOutMsgs++
      counters.IcmpOutEchos++
    } else {
      counters.Icmp6OutMsgs++
      counters.Icmp6OutEchos++
    }
  }
}
