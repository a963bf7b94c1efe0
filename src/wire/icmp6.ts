// ICMPv6 (RFC 4443). The header's shape and echo fields are those of icmp4.ts; the checksum covers a
// pseudo-header.

export const ICMP6_UNREACHABLE = 1
export const ICMP6_PACKET_TOO_BIG = 2
export const ICMP6_TIME_EXCEEDED = 3
export const ICMP6_PARAMETER_PROBLEM = 4
export const ICMP6_ECHO_REQUEST = 128
export const ICMP6_ECHO_REPLY = 129
export const ICMP6_MLD_QUERY = 130
export const ICMP6_MLD_REPORT = 131
export const ICMP6_MLD_DONE = 132
export const ICMP6_ROUTER_SOLICITATION = 133
export const ICMP6_ROUTER_ADVERTISEMENT = 134
export const ICMP6_NEIGHBOR_SOLICITATION = 135
export const ICMP6_NEIGHBOR_ADVERTISEMENT = 136
export const ICMP6_REDIRECT = 137
export const ICMP6_MLDV2_REPORT = 143

/** Codes of ICMP6_UNREACHABLE. */
export const UNREACHABLE6_NO_ROUTE = 0
export const UNREACHABLE6_PROHIBITED = 1
export const UNREACHABLE6_BEYOND_SCOPE = 2
export const UNREACHABLE6_ADDRESS = 3
export const UNREACHABLE6_PORT = 4
export const UNREACHABLE6_POLICY = 5
export const UNREACHABLE6_REJECT_ROUTE = 6

/** Codes of ICMP6_PARAMETER_PROBLEM. */
export const PROBLEM6_HEADER = 0
export const PROBLEM6_NEXT_HEADER = 1
export const PROBLEM6_OPTION = 2
/** RFC 7112 §5. */
export const PROBLEM6_INCOMPLETE_CHAIN = 3

/** Types below 128 are errors. */
export const isIcmp6Error = (type: number): boolean => type < 128

/** The MTU of packet too big, the pointer of parameter problem. */
export const icmp6Word = (view: DataView, at: number): number => view.getUint32(at + 4)
