// What RFC 9293 demands of an implementation, in our own words: its numbered MUSTs and SHOULDs (its appendix B). Which
// test proves one is not written here: the tests say it themselves, by a tag such as MUST-13 in a title
// (docs/requirements.ts reads them). A requirement that no test names says here why.

/** One numbered sentence of the RFC. */
export interface Requirement {
  /** `MUST-13`, `SHLD-2`: the RFC's own name. */
  readonly id: string
  /** The section that has it. */
  readonly section: string
  readonly text: string
  /** What part of it is not done, or not as the RFC has it, although tests prove the rest. */
  readonly short?: string
  /** Why no test names it. */
  readonly untested?: string
}

const NO_SOURCE_ROUTES = 'not implemented: packets with source routes are dropped (RFC 7126 §4.3, §4.4)'

const MUSTS: readonly Requirement[] = [
  { id: 'MUST-1', section: '3.1', text: 'the window field is unsigned' },
  { id: 'MUST-2', section: '3.1', text: 'every segment sent has a checksum' },
  { id: 'MUST-3', section: '3.1', text: 'the checksum of every segment received is checked' },
  { id: 'MUST-4', section: '3.1', text: 'the options end-of-list, no-operation and MSS are supported' },
  { id: 'MUST-5', section: '3.1', text: 'options are taken in any segment' },
  { id: 'MUST-6', section: '3.1', text: 'options that are not known are skipped by their length' },
  { id: 'MUST-7', section: '3.1', text: 'an option of an impossible length does no harm' },
  { id: 'MUST-8', section: '3.4.1', text: 'initial sequence numbers follow a clock that ticks every 4 µs' },
  { id: 'MUST-9', section: '3.4.1', text: 'what is added to that clock cannot be computed from outside' },
  { id: 'MUST-10', section: '3.5', text: 'two simultaneous active opens make one connection' },
  {
    id: 'MUST-11',
    section: '3.5',
    text: 'a connection in SYN-RECEIVED knows whether it was opened actively or passively',
  },
  {
    id: 'MUST-12',
    section: '3.6',
    text: 'a program learns whether its peer closed in order or aborted',
  },
  { id: 'MUST-13', section: '3.6.1', text: 'who closes first stays in TIME-WAIT for 2 MSL', short: 'MSL is 30 s' },
  { id: 'MUST-14', section: '3.7.1', text: 'the MSS option is sent and understood' },
  { id: 'MUST-15', section: '3.7.1', text: 'without one, 536 bytes with IPv4 and 1,220 with IPv6 are assumed' },
  {
    id: 'MUST-16',
    section: '3.7.1',
    text: 'a segment is no larger than the peer takes, and no larger than IP carries, options taken off',
  },
  { id: 'MUST-17', section: '3.7.4', text: 'Nagle’s algorithm can be switched off for a connection' },
  { id: 'MUST-18', section: '3.8.1', text: 'the retransmission time-out is RFC 6298’s, with Karn’s rule' },
  { id: 'MUST-19', section: '3.8.2', text: 'slow start, congestion avoidance, and a time-out that backs off' },
  {
    id: 'MUST-20',
    section: '3.8.3',
    text: 'data sent again and again: the network layer is warned at R1, the connection ended at R2',
  },
  { id: 'MUST-21', section: '3.8.3', text: 'a program can set R2 for its connection' },
  { id: 'MUST-22', section: '3.8.3', text: 'SYNs that are sent again follow the same rule' },
  {
    id: 'MUST-23',
    section: '3.8.3',
    text: 'R2 of a SYN is at least three minutes',
    short: 'a SYN, ACK is given up after 63 seconds, as in Linux',
  },
  { id: 'MUST-24', section: '3.8.4', text: 'keep-alive is switched on and off for each connection' },
  { id: 'MUST-25', section: '3.8.4', text: 'it is off by default' },
  { id: 'MUST-26', section: '3.8.4', text: 'it asks only when nothing is in flight and nothing came for an interval' },
  { id: 'MUST-27', section: '3.8.4', text: 'that interval can be set' },
  { id: 'MUST-28', section: '3.8.4', text: 'it is two hours at least by default' },
  { id: 'MUST-29', section: '3.8.4', text: 'one probe without an answer does not end the connection' },
  {
    id: 'MUST-30',
    section: '3.8.5',
    text: 'the urgent mechanism is supported',
  },
  { id: 'MUST-31', section: '3.8.5', text: 'urgent data may have any length' },
  {
    id: 'MUST-32',
    section: '3.8.5',
    text: 'a program is told when urgent data is announced, or more of it',
  },
  {
    id: 'MUST-33',
    section: '3.8.5',
    text: 'a program can learn whether urgent data is still to be read, and how much',
  },
  { id: 'MUST-34', section: '3.8.6', text: 'a window that shrinks below what is in flight does no harm' },
  { id: 'MUST-35', section: '3.8.6', text: 'a window that shrinks to zero is probed like any other' },
  { id: 'MUST-36', section: '3.8.6.1', text: 'a closed window is probed' },
  { id: 'MUST-37', section: '3.8.6.1', text: 'as long as the probes are answered, the connection stays open' },
  { id: 'MUST-38', section: '3.8.6.2.1', text: 'the sender avoids silly windows' },
  { id: 'MUST-39', section: '3.8.6.2.2', text: 'the receiver avoids silly windows' },
  { id: 'MUST-40', section: '3.8.6.3', text: 'an ACK is delayed by less than half a second' },
  { id: 'MUST-41', section: '3.9.1.1', text: 'a passive open changes no connection that exists' },
  {
    id: 'MUST-42',
    section: '3.9.1.1',
    text: 'a port can be listened on while a connection with it is in SYN-SENT or SYN-RECEIVED',
  },
  { id: 'MUST-43', section: '3.9.1.1', text: 'a program can choose the local address' },
  { id: 'MUST-44', section: '3.9.1.1', text: 'if it does not, IP chooses before the first SYN' },
  { id: 'MUST-45', section: '3.9.1.1', text: 'after that, the local address of a connection never changes' },
  { id: 'MUST-46', section: '3.9.1.1', text: 'a connection to a broadcast or multicast address is refused' },
  { id: 'MUST-47', section: '3.9.1.8', text: 'soft errors reach the program' },
  { id: 'MUST-48', section: '3.9.1.9', text: 'a program can set the traffic class of what a connection sends' },
  { id: 'MUST-49', section: '3.9.2', text: 'the TTL can be set' },
  { id: 'MUST-50', section: '3.9.2', text: 'IP options that TCP does not know are ignored' },
  {
    id: 'MUST-51',
    section: '3.9.2.1',
    text: 'a program can give a source route for an active open',
    untested: NO_SOURCE_ROUTES,
  },
  {
    id: 'MUST-52',
    section: '3.9.2.1',
    text: 'it has precedence over one that arrived',
    untested: NO_SOURCE_ROUTES,
  },
  {
    id: 'MUST-53',
    section: '3.9.2.1',
    text: 'a passive connection answers over the source route by which its SYN came',
    untested: NO_SOURCE_ROUTES,
  },
  { id: 'MUST-54', section: '3.9.2.2', text: 'an ICMP error is brought to the connection it is about' },
  { id: 'MUST-55', section: '3.9.2.2', text: 'a source quench is dropped in silence' },
  {
    id: 'MUST-56',
    section: '3.9.2.2',
    text: 'soft ICMP errors (network or host unreachable, time exceeded, parameter problem) end no connection',
    short: 'they end a handshake that a program began (RFC 5461 §4.1)',
  },
  { id: 'MUST-57', section: '3.9.2.3', text: 'a SYN to a broadcast or multicast address is dropped in silence' },
  { id: 'MUST-58', section: '3.10.7.4', text: 'ACKs are put together where that is possible' },
  { id: 'MUST-59', section: '3.10.7.4', text: 'all segments that are there are processed before an ACK is sent' },
  { id: 'MUST-60', section: '3.9.1.2', text: 'data is not kept back for ever (there is no PUSH in our write)' },
  { id: 'MUST-61', section: '3.9.1.2', text: 'the last segment of what is queued carries PSH' },
  {
    id: 'MUST-62',
    section: '3.8.5',
    text: 'the urgent pointer points behind the last urgent byte',
  },
  { id: 'MUST-63', section: '3.9.2.3', text: 'a SYN from an impossible source is ignored' },
  { id: 'MUST-64', section: '3.2', text: 'options are read wherever they begin' },
  { id: 'MUST-65', section: '3.2', text: 'the MSS option is in no segment but SYNs' },
  {
    id: 'MUST-66',
    section: '3.4',
    text: 'RST and URG count although the receive window is closed',
  },
  {
    id: 'MUST-67',
    section: '3.7.1',
    text: 'the MSS that is announced is at most what IP can take in, less 20 bytes',
  },
  { id: 'MUST-68', section: '3.1', text: 'every option but end-of-list and no-operation has a length' },
  { id: 'MUST-69', section: '3.1', text: 'behind the end of the options the header is filled with zeros' },
]

const SHOULDS: readonly Requirement[] = [
  { id: 'SHLD-1', section: '3.4.1', text: 'the initial sequence number adds a keyed hash of the connection' },
  { id: 'SHLD-2', section: '3.5.3', text: 'an RST may carry data' },
  { id: 'SHLD-3', section: '3.6.1', text: 'closing with unread data, or data after it, is answered with RST' },
  { id: 'SHLD-4', section: '3.6.1', text: 'time stamps cut TIME-WAIT short (RFC 6191)' },
  { id: 'SHLD-5', section: '3.7.1', text: 'every SYN carries the MSS option, unless it would say the default' },
  {
    id: 'SHLD-6',
    section: '3.7.3',
    text: 'the MSS that is announced fits the least MTU where an interface has several',
    untested: 'an interface has one MTU',
  },
  { id: 'SHLD-7', section: '3.7.4', text: 'Nagle’s algorithm puts short segments together' },
  { id: 'SHLD-8', section: '3.8.2', text: 'explicit congestion notification (RFC 3168)', untested: 'not implemented' },
  {
    id: 'SHLD-9',
    section: '3.8.3',
    text: 'a program is told of the trouble at R1, before the connection ends',
  },
  {
    id: 'SHLD-10',
    section: '3.8.3',
    text: 'R1 is three retransmissions at least',
  },
  { id: 'SHLD-11', section: '3.8.3', text: 'R2 is 100 seconds at least' },
  { id: 'SHLD-12', section: '3.8.4', text: 'a keep-alive carries no data' },
  {
    id: 'SHLD-13',
    section: '3.8.5',
    text: 'new programs do not use urgent data',
    untested: 'concerns programs, not the stack',
  },
  { id: 'SHLD-14', section: '3.8.6', text: 'the window that we offer does not shrink' },
  { id: 'SHLD-15', section: '3.8.6', text: 'into a window that shrank no new data is sent' },
  { id: 'SHLD-16', section: '3.8.6', text: 'what lies within it is sent again as ever' },
  { id: 'SHLD-17', section: '3.8.6', text: 'data beyond its edge that is not acknowledged ends no connection' },
  { id: 'SHLD-18', section: '3.8.6.3', text: 'ACKs are delayed' },
  { id: 'SHLD-19', section: '3.8.6.3', text: 'every second full segment is acknowledged' },
  {
    id: 'SHLD-20',
    section: '3.9.1.8',
    text: 'a program can choose not to hear of soft errors',
  },
  { id: 'SHLD-21', section: '3.9.1.9', text: 'the traffic class can be changed during a connection' },
  { id: 'SHLD-22', section: '3.9.1.9', text: 'it is handed to IP unchanged' },
  {
    id: 'SHLD-23',
    section: '3.9.2',
    text: 'programs do not change the traffic class during a connection',
    untested: 'concerns programs, not the stack',
  },
  {
    id: 'SHLD-24',
    section: '3.9.2.1',
    text: 'a later source route replaces the earlier one',
    untested: NO_SOURCE_ROUTES,
  },
  { id: 'SHLD-25', section: '3.9.2.2', text: 'soft ICMP errors are there for the program to see' },
  {
    id: 'SHLD-26',
    section: '3.9.2.2',
    text: 'hard ICMP errors (protocol or port unreachable) end the connection',
    short: 'they end handshakes alone (RFC 5927 §5.2)',
  },
  { id: 'SHLD-27', section: '3.9.1.2', text: 'several writes are put together into the largest segments' },
  { id: 'SHLD-28', section: '3.9.1.2', text: 'segments are as large as they may be' },
  { id: 'SHLD-29', section: '3.8.6.1', text: 'a closed window is probed first after a retransmission time-out' },
  { id: 'SHLD-30', section: '3.8.6.1', text: 'each pause between probes is longer than the last' },
  { id: 'SHLD-31', section: '3.10.7.4', text: 'segments out of order are kept' },
]

export const REQUIREMENTS: readonly Requirement[] = [...MUSTS, ...SHOULDS]
