// From a segment's addresses and ports to its connection: a hash table of int32 keys with chains through the
// connections, keyed by a secret so that no peer can fill one chain.

import type { Random } from '../random.ts'
import type { IpAddress } from '../wire/address.ts'
import type { Connection } from './connection.ts'

export class Demux {
  size = 0
  /** Those that do not let others bind their port. */
  readonly exclusive = new Set<Connection>()
  private readonly chains = new Map<number, Connection>()
  private readonly key: number
  private readonly multiplier: number

  constructor(random: Random) {
    this.key = random.u32() | 0
    this.multiplier = random.u32() | 1
  }

  /** The key of a connection: cheap, and not to be foreseen without the secret. */
  hash(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    const { multiplier } = this
    let hash = Math.imul(this.key ^ ((localPort << 16) | remotePort), multiplier)
    hash = Math.imul((hash ^ (hash >>> 15)) + remote.w3, multiplier)
    hash = Math.imul((hash ^ (hash >>> 13)) + local.w3, multiplier)
    if (remote.family === 6) {
      hash = Math.imul((hash ^ (hash >>> 15)) + remote.w2, multiplier)
      hash = Math.imul((hash ^ (hash >>> 13)) + remote.w1, multiplier)
      hash = Math.imul((hash ^ (hash >>> 15)) + remote.w0, multiplier)
      hash = Math.imul((hash ^ (hash >>> 13)) + local.w2 + Math.imul(local.w1, 31), multiplier)
    }
    return (hash ^ (hash >>> 16)) | 0
  }

  find(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Connection | null {
    let connection = this.chains.get(this.hash(local, localPort, remote, remotePort)) ?? null
    while (connection !== null && !isOf(connection, local, localPort, remote, remotePort)) connection = connection.chain
    return connection
  }

  add(connection: Connection): void {
    connection.chain = this.chains.get(connection.hash) ?? null
    this.chains.set(connection.hash, connection)
    if (!connection.options.reuseAddress) this.exclusive.add(connection)
    this.size++
  }

  remove(connection: Connection): void {
    this.exclusive.delete(connection)
    const first = this.chains.get(connection.hash) ?? null
    if (first === connection) {
      if (connection.chain === null) this.chains.delete(connection.hash)
      else this.chains.set(connection.hash, connection.chain)
    } else {
      let previous = first
      while (previous !== null && previous.chain !== connection) previous = previous.chain
      if (previous === null) return
      previous.chain = connection.chain
    }
    connection.chain = null
    this.size--
  }

  *values(): IterableIterator<Connection> {
    for (const first of this.chains.values()) {
      for (let connection: Connection | null = first; connection !== null; connection = connection.chain)
        yield connection
    }
  }
}

const isOf = (
  connection: Connection,
  local: IpAddress,
  localPort: number,
  remote: IpAddress,
  remotePort: number,
): boolean =>
  connection.remotePort === remotePort &&
  connection.localPort === localPort &&
  connection.remoteAddress.equals(remote) &&
  connection.localAddress.equals(local)
