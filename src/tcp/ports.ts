// Ephemeral ports of connections by double hashing (RFC 6056 §3.3.4): to one destination they follow each other, so
// that a port is not used again before it must be; to a stranger they look random.

import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from '../ephemeral-range.ts'
import { KeyedHash } from '../keyed-hash.ts'
import type { Random } from '../random.ts'
import type { IpAddress } from '../wire/address.ts'

/** RFC 6056 §3.3.4: TABLE_LENGTH. */
const TABLE_LENGTH = 1_024

export class EphemeralPorts {
  private readonly offset: KeyedHash
  private readonly index: KeyedHash
  private readonly table = new Uint32Array(TABLE_LENGTH)

  constructor(random: Random) {
    this.offset = new KeyedHash(random)
    this.index = new KeyedHash(random)
    for (let slot = 0; slot < TABLE_LENGTH; slot++) this.table[slot] = random.u32()
  }

  /** A port for which `isFree` holds, or 0 when there is none. */
  choose(local: IpAddress, remote: IpAddress, remotePort: number, isFree: (port: number) => boolean): number {
    const count = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1
    const offset = hashOf(this.offset, local, remote, remotePort) >>> 0
    const slot = hashOf(this.index, local, remote, remotePort) & (TABLE_LENGTH - 1)
    for (let tries = 0; tries < count; tries++) {
      const step = this.table[slot]!
      this.table[slot] = step + 1
      const port = (EPHEMERAL_FIRST + ((offset + step) % count)) | 0
      if (isFree(port)) return port
    }
    return 0
  }
}

function hashOf(hash: KeyedHash, local: IpAddress, remote: IpAddress, remotePort: number): number {
  hash.begin().word(local.w0).word(local.w1).word(local.w2).word(local.w3)
  return hash.word(remote.w0).word(remote.w1).word(remote.w2).word(remote.w3).word(remotePort).finish()
}
