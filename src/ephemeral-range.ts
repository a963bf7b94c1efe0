// The ports from which UDP and TCP choose where a program names none: Linux's range. RFC 6056 §3.2 asks for as large a one as
// possible; how one is chosen is in udp/ports.ts and tcp/ports.ts.

export const EPHEMERAL_FIRST = 32_768
export const EPHEMERAL_LAST = 60_999
