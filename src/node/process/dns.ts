// `hourglass/dns`: node:dns over the host of this process (process-host.ts), which is opened when this is imported.

import type { DnsModule } from '../dns/dns.ts'
import { processHost } from '../process-host.ts'

const host = await processHost()
const dns: DnsModule = host.dns

export default dns
export const {
  Resolver,
  getDefaultResultOrder,
  getServers,
  lookup,
  lookupService,
  promises,
  resolve,
  resolve4,
  resolve6,
  resolveAny,
  resolveCaa,
  resolveCname,
  resolveMx,
  resolveNaptr,
  resolveNs,
  resolvePtr,
  resolveSoa,
  resolveSrv,
  resolveTxt,
  reverse,
  setDefaultResultOrder,
  setServers,
}: DnsModule = dns
