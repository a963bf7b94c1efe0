// One line of text for one frame, as `tcpdump -n` would print it, without the time stamp: for assertions,
// traces and the command line. It reads whatever bytes there are: what is missing or makes no sense becomes a
// text in brackets, such as `[|tcp]`.

import {
  ARP_LENGTH,
  ARP_REPLY,
  ARP_REQUEST,
  arpOperation,
  arpSenderIp,
  arpSenderMac,
  arpTargetIp,
  arpTargetMac,
} from './arp.ts'
import { describeIpv4, describeIpv6, type Style } from './describe-ip.ts'
import type { TcpFlows } from './describe-tcp.ts'
import {
  ETHERNET_HEADER,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_VLAN,
  etherType,
  MacAddress,
  VLAN_TAG,
} from './ethernet.ts'

export interface DescribeOptions {
  /** Begin with the Ethernet header, as `tcpdump -e`. */
  link?: boolean
  /** Sequence numbers as on the wire, as `tcpdump -S`, also where there are flows. */
  absoluteSequence?: boolean
  /** The fields of the IP header, and the packet that an ICMP error quotes; after `tcpdump -v`, on one line. */
  verbose?: boolean
  /** Kept from frame to frame, it makes sequence numbers relative, as tcpdump does by default. */
  flows?: TcpFlows | undefined
}

/** What the `length` bytes at `at` say. `medium` is 'ip' where they begin with an IP header. */
export function describeFrame(
  view: DataView,
  at: number,
  length: number,
  medium: 'ethernet' | 'ip',
  options: DescribeOptions = {},
): string {
  const flows = options.absoluteSequence === true ? null : (options.flows ?? null)
  const style: Style = { verbose: options.verbose === true, flows }
  const end = Math.min(at + length, view.byteLength)
  if (medium === 'ethernet') return describeEthernet(view, at, end, options.link === true, style)
  if (at >= end) return '[|ip]'
  switch (view.getUint8(at) >>> 4) {
    case 4:
      return `IP ${describeIpv4(view, at, end, style)}`
    case 6:
      return `IP6 ${describeIpv6(view, at, end, style)}`
    default:
      return `[version ${view.getUint8(at) >>> 4}]`
  }
}

function describeEthernet(view: DataView, at: number, end: number, link: boolean, style: Style): string {
  if (end - at < ETHERNET_HEADER) return '[|ether]'
  let type = etherType(view, at)
  let payload = at + ETHERNET_HEADER
  let prefix = ''
  if (link) {
    const addresses = `${MacAddress.read(view, at + 6)} > ${MacAddress.read(view, at)}`
    prefix = `${addresses}, ethertype ${typeText(type)}, length ${end - at}: `
  }
  if (type === ETHERTYPE_VLAN) {
    if (end - payload < VLAN_TAG) return `${prefix}[|vlan]`
    const tag = view.getUint16(payload)
    type = view.getUint16(payload + 2)
    payload += VLAN_TAG
    if (link)
      prefix += `vlan ${tag & 0xfff}, p ${tag >>> 13}${(tag & 0x1000) !== 0 ? ', DEI' : ''}, ethertype ${typeText(type)}, `
  }
  switch (type) {
    case ETHERTYPE_ARP:
      return `${prefix}${link ? '' : 'ARP, '}${describeArp(view, payload, end)}`
    case ETHERTYPE_IPV4:
      return `${prefix}${link ? '' : 'IP '}${describeIpv4(view, payload, end, style)}`
    case ETHERTYPE_IPV6:
      return `${prefix}${link ? '' : 'IP6 '}${describeIpv6(view, payload, end, style)}`
    default:
      return link ? prefix.trimEnd() : `[ethertype ${typeText(type)}, length ${end - at}]`
  }
}

function typeText(type: number): string {
  const names: Record<number, string> = {
    [ETHERTYPE_ARP]: 'ARP',
    [ETHERTYPE_IPV4]: 'IPv4',
    [ETHERTYPE_IPV6]: 'IPv6',
    [ETHERTYPE_VLAN]: '802.1Q',
  }
  return `${names[type] ?? 'Unknown'} (0x${type.toString(16).padStart(4, '0')})`
}

function describeArp(view: DataView, at: number, end: number): string {
  if (end - at < ARP_LENGTH) return '[|arp]'
  const length = `length ${end - at}`
  const senderIp = arpSenderIp(view, at)
  switch (arpOperation(view, at)) {
    case ARP_REQUEST: {
      const targetMac = arpTargetMac(view, at)
      const known = targetMac.isZero ? '' : ` (${targetMac})`
      return `Request who-has ${arpTargetIp(view, at)}${known} tell ${senderIp}, ${length}`
    }
    case ARP_REPLY:
      return `Reply ${senderIp} is-at ${arpSenderMac(view, at)}, ${length}`
    default:
      return `[operation ${arpOperation(view, at)}], ${length}`
  }
}
