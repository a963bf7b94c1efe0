// Who on this host sends echo requests: told apart by the identifier, as ports tell UDP sockets apart. Each
// ICMP has one; icmp sockets register here.

import type { Packet } from '../buf/packet.ts'
import type { Drop } from '../counters.ts'
import { NetError } from '../errors.ts'
import type { Random } from '../random.ts'
import type { Micros } from '../time.ts'
import type { UserCalls } from '../user-calls.ts'
import type { IpAddress } from '../wire/address.ts'
import { echoIdentifier } from '../wire/icmp4.ts'
import type { IcmpError } from './seams.ts'

export interface EchoClient {
  /** An echo reply whose data begins at the ICMP header, networkAt at the IP header. The packet stays the caller's. */
  onReply(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): void
  /** An error about an echo request of this client; `packet` begins at the quoted ICMP header and stays the caller's. */
  onError(packet: Packet, error: IcmpError, now: Micros): void
}

/** Echo clients of one family at once. */
export const ECHO_CLIENT_LIMIT = 4_096

export class EchoClients {
  private readonly clients = new Map<number, EchoClient>()
  private readonly random: Random
  private readonly calls: UserCalls

  constructor(random: Random, calls: UserCalls) {
    this.random = random
    this.calls = calls
  }

  /** Registers under the identifier, or under a free random one for 0, and returns it. Throws NetError. */
  open(client: EchoClient, identifier: number): number {
    if (this.clients.size >= ECHO_CLIENT_LIMIT) throw new NetError('EMFILE', 'too many echo clients')
    if (!(Number.isInteger(identifier) && identifier >= 0 && identifier <= 0xffff)) {
      throw new NetError('EINVAL', `echo identifier ${identifier}: it has 16 bits`)
    }
    if (identifier !== 0) {
      if (this.clients.has(identifier)) throw new NetError('EADDRINUSE', `echo identifier ${identifier}`)
      this.clients.set(identifier, client)
      return identifier
    }
    let free = 1 + this.random.below(0xffff)
    while (this.clients.has(free)) free = free === 0xffff ? 1 : free + 1
    this.clients.set(free, client)
    return free
  }

  close(identifier: number): void {
    this.clients.delete(identifier)
  }

  reply(packet: Packet, source: IpAddress, destination: IpAddress, now: Micros): Drop | undefined {
    const client = this.clients.get(echoIdentifier(packet.page.view, packet.data))
    if (client === undefined) return 'icmpEchoIgnored'
    this.calls.run(() => client.onReply(packet, source, destination, now))
    packet.release()
    return undefined
  }

  error(identifier: number, packet: Packet, error: IcmpError, now: Micros): boolean {
    const client = this.clients.get(identifier)
    if (client !== undefined) this.calls.run(() => client.onError(packet, error, now))
    return client !== undefined
  }
}
