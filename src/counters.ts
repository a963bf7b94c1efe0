// Every count that the stack keeps, as declared fields. The MIB names are those of nstat(8) where they mean
// the same (RFC 4293, RFC 4113, RFC 4022); `drops` names each reason for which a packet is not delivered.

/** Packets not delivered, by reason. A reason is counted once per packet, where the packet is released. */
export class Drops {
  // Buffers and devices
  noBuffer = 0
  deviceFull = 0
  deviceDown = 0
  deviceRefused = 0
  inputFull = 0
  offloadMalformed = 0
  frameTooLong = 0
  frameTooShort = 0
  // Ethernet, ARP
  notForUs = 0
  unknownEtherType = 0
  vlanMismatch = 0
  arpMalformed = 0
  arpNotForUs = 0
  // IP headers
  ipVersion = 0
  ipHeaderLength = 0
  ipTotalLength = 0
  ipChecksum = 0
  ipOptionMalformed = 0
  ipSourceRoute = 0
  ipExtensionMalformed = 0
  ipExtensionUnknown = 0
  ipExtensionTooMany = 0
  martianSource = 0
  martianDestination = 0
  spoofedSource = 0
  tentativeAddress = 0
  unknownProtocol = 0
  // Reassembly
  fragmentMalformed = 0
  fragmentOverlap = 0
  fragmentTooLong = 0
  fragmentTooMany = 0
  fragmentLimitHost = 0
  fragmentLimitSource = 0
  fragmentTimeout = 0
  fragmentDuplicate = 0
  // Neighbours
  neighborQueueFull = 0
  neighborTableFull = 0
  neighborUnreachable = 0
  ndpMalformed = 0
  ndpNotForUs = 0
  redirectIgnored = 0
  // Routing and forwarding
  noRoute = 0
  noSourceAddress = 0
  forwardingOff = 0
  forwardLinkScope = 0
  hopLimitExceeded = 0
  packetTooBig = 0
  reversePath = 0
  routePolicy = 0
  routeBlackhole = 0
  // ICMP, IGMP, MLD
  icmpMalformed = 0
  icmpChecksum = 0
  icmpUnknownType = 0
  icmpErrorUnmatched = 0
  icmpEchoIgnored = 0
  multicastMalformed = 0
  multicastNotJoined = 0
  // UDP
  udpLength = 0
  udpChecksum = 0
  udpNoChecksum = 0
  udpNoPort = 0
  udpReceiveQueueFull = 0
  // TCP
  tcpHeaderLength = 0
  tcpChecksum = 0
  tcpNoConnection = 0
  tcpOutOfWindow = 0
  tcpBadAck = 0
  tcpNoAck = 0
  tcpNoSyn = 0
  tcpOldTimestamp = 0
  tcpNoTimestamp = 0
  tcpUnexpectedSyn = 0
  tcpResetOutOfPlace = 0
  tcpAfterClose = 0
  tcpDuplicate = 0
  tcpReceiveQueueFull = 0
  tcpListenFull = 0
  tcpNotUnicast = 0
  // Links and faults
  cableQueueFull = 0
  switchTableFull = 0
  switchBadSource = 0
  switchFiltered = 0
  faultLoss = 0
  faultBurst = 0
  faultRate = 0
  faultScripted = 0
  faultPartition = 0
}

/** Why a packet was not delivered. */
export type Drop = keyof Drops

export class Counters {
  readonly drops = new Drops()

  IpInReceives = 0
  IpInHdrErrors = 0
  IpInAddrErrors = 0
  IpInUnknownProtos = 0
  IpInDiscards = 0
  IpInDelivers = 0
  IpForwDatagrams = 0
  IpOutRequests = 0
  IpOutDiscards = 0
  IpOutNoRoutes = 0
  IpReasmReqds = 0
  IpReasmOKs = 0
  IpReasmFails = 0
  IpReasmTimeout = 0
  IpFragOKs = 0
  IpFragFails = 0
  IpFragCreates = 0
  /** Octets of packets with their headers, as the link brought them and as it gets them: a super-segment where it is one there. */
  IpExtInOctets = 0
  IpExtOutOctets = 0

  Ip6InReceives = 0
  Ip6InHdrErrors = 0
  Ip6InAddrErrors = 0
  Ip6InUnknownProtos = 0
  Ip6InDiscards = 0
  Ip6InDelivers = 0
  Ip6OutForwDatagrams = 0
  Ip6OutRequests = 0
  Ip6OutDiscards = 0
  Ip6OutNoRoutes = 0
  Ip6ReasmReqds = 0
  Ip6ReasmOKs = 0
  Ip6ReasmFails = 0
  Ip6ReasmTimeout = 0
  Ip6FragOKs = 0
  Ip6FragFails = 0
  Ip6FragCreates = 0
  Ip6InOctets = 0
  Ip6OutOctets = 0

  IcmpInMsgs = 0
  IcmpInErrors = 0
  IcmpInCsumErrors = 0
  IcmpInDestUnreachs = 0
  IcmpInTimeExcds = 0
  IcmpInParmProbs = 0
  IcmpInEchos = 0
  IcmpInEchoReps = 0
  IcmpOutMsgs = 0
  IcmpOutErrors = 0
  IcmpOutRateLimitGlobal = 0
  IcmpOutDestUnreachs = 0
  IcmpOutTimeExcds = 0
  IcmpOutParmProbs = 0
  IcmpOutEchos = 0
  IcmpOutEchoReps = 0

  Icmp6InMsgs = 0
  Icmp6InErrors = 0
  Icmp6InCsumErrors = 0
  Icmp6InDestUnreachs = 0
  Icmp6InPktTooBigs = 0
  Icmp6InTimeExcds = 0
  Icmp6InParmProblems = 0
  Icmp6InEchos = 0
  Icmp6InEchoReplies = 0
  Icmp6InRouterSolicits = 0
  Icmp6InRouterAdvertisements = 0
  Icmp6InNeighborSolicits = 0
  Icmp6InNeighborAdvertisements = 0
  Icmp6OutMsgs = 0
  Icmp6OutErrors = 0
  Icmp6OutRateLimitGlobal = 0
  Icmp6OutDestUnreachs = 0
  Icmp6OutPktTooBigs = 0
  Icmp6OutTimeExcds = 0
  Icmp6OutParmProblems = 0
  Icmp6OutEchos = 0
  Icmp6OutEchoReplies = 0
  Icmp6OutRouterSolicits = 0
  Icmp6OutNeighborSolicits = 0
  Icmp6OutNeighborAdvertisements = 0
  Icmp6OutMLDv2Reports = 0

  UdpInDatagrams = 0
  UdpNoPorts = 0
  UdpInErrors = 0
  UdpOutDatagrams = 0
  UdpRcvbufErrors = 0
  UdpSndbufErrors = 0
  UdpInCsumErrors = 0
  Udp6InDatagrams = 0
  Udp6NoPorts = 0
  Udp6InErrors = 0
  Udp6OutDatagrams = 0
  Udp6RcvbufErrors = 0
  Udp6SndbufErrors = 0
  Udp6InCsumErrors = 0

  TcpActiveOpens = 0
  TcpPassiveOpens = 0
  TcpAttemptFails = 0
  TcpEstabResets = 0
  TcpInSegs = 0
  TcpOutSegs = 0
  TcpRetransSegs = 0
  TcpInErrs = 0
  TcpInCsumErrors = 0
  TcpOutRsts = 0
  TcpExtSyncookiesSent = 0
  TcpExtSyncookiesRecv = 0
  TcpExtSyncookiesFailed = 0
  TcpExtTW = 0
  TcpExtTWRecycled = 0
  TcpExtPAWSEstab = 0
  TcpExtDelayedACKs = 0
  TcpExtListenOverflows = 0
  TcpExtListenDrops = 0
  TcpExtTCPRenoRecovery = 0
  TcpExtTCPSackRecovery = 0
  TcpExtTCPFullUndo = 0
  TcpExtTCPLossUndo = 0
  TcpExtTCPLostRetransmit = 0
  TcpExtTCPTimeouts = 0
  TcpExtTCPLossProbes = 0
  TcpExtTCPSpuriousRTOs = 0
  TcpExtTCPDSACKOldSent = 0
  TcpExtTCPDSACKRecv = 0
  TcpExtTCPOFOQueue = 0
  TcpExtTCPOFODrop = 0
  TcpExtTCPRcvQDrop = 0
  TcpExtOfoPruned = 0
  TcpExtTCPMemoryPressures = 0
  TcpExtTCPAbortOnMemory = 0
  TcpExtTCPAbortOnData = 0
  TcpExtTCPAbortOnTimeout = 0
  TcpExtTCPKeepAlive = 0
  TcpExtTCPMTUPSuccess = 0
  TcpExtTCPMTUPFail = 0
  TcpExtTCPChallengeACK = 0
  TcpExtTCPSYNChallenge = 0
  TcpExtTCPACKSkippedChallenge = 0
  TcpExtTCPReqQFullDoCookies = 0
  TcpExtTCPTimeWaitOverflow = 0
}

/** The counts that are not zero, drops as `drop.REASON`, in declared order: what nstat(8) would print. */
export function nonZero(counters: Counters): [name: string, count: number][] {
  const rows: [string, number][] = []
  for (const [name, count] of Object.entries(counters))
    if (typeof count === 'number' && count > 0) rows.push([name, count])
  for (const [name, count] of Object.entries(counters.drops)) if (count > 0) rows.push([`drop.${name}`, count])
  return rows
}
