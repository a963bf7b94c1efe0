// The numbers of the pcapng format (draft-ietf-opsawg-pcapng) and of the older pcap format
// (draft-ietf-opsawg-pcap) that writer and reader share.

export const SECTION_HEADER = 0x0a0d_0d0a
export const INTERFACE_DESCRIPTION = 1
export const SIMPLE_PACKET = 3
export const NAME_RESOLUTION = 4
export const ENHANCED_PACKET = 6
export const DECRYPTION_SECRETS = 10

export const BYTE_ORDER_MAGIC = 0x1a2b_3c4d
/** The first word of a pcap file, with stamps in microseconds or nanoseconds. */
export const PCAP_MICROS_MAGIC = 0xa1b2_c3d4
export const PCAP_NANOS_MAGIC = 0xa1b2_3c4d

export const OPTION_END = 0
export const OPTION_COMMENT = 1
/** Of a section header. */
export const OPTION_APPLICATION = 4
/** Of an interface description. */
export const OPTION_NAME = 2
export const OPTION_DESCRIPTION = 3
export const OPTION_TIME_RESOLUTION = 9
export const OPTION_TIME_OFFSET = 14
/** Of an enhanced packet. */
export const OPTION_FLAGS = 2
export const OPTION_DROP_COUNT = 4

/** The direction in the flags of an enhanced packet: the two low bits. */
export const FLAG_INBOUND = 1
export const FLAG_OUTBOUND = 2

export const NAME_END = 0
export const NAME_IPV4 = 1
export const NAME_IPV6 = 2

/** A TLS key log, in the text format of NSS. */
export const SECRETS_TLS_KEYS = 0x544c_534b

export const LINK_ETHERNET = 1
/** Bare IPv4 and IPv6 packets. */
export const LINK_RAW = 101

/** The most bytes of one packet that are recorded; tshark refuses more. */
export const SNAP_LENGTH = 262_144

/** Which way a packet went, seen from the host whose device it is. */
export type Direction = 'in' | 'out'

export const padded = (length: number): number => (length + 3) & ~3
