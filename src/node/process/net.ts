// `hourglass/net`: node:net over the host of this process (process-host.ts), which is opened when this is imported.

import type { OwnNet } from '../net/net.ts'
import { processHost } from '../process-host.ts'

const host = await processHost()
const net = host.net as unknown as OwnNet

export default net
export const {
  BlockList,
  Server,
  Socket,
  SocketAddress,
  Stream,
  _normalizeArgs,
  _setSimultaneousAccepts,
  connect,
  createConnection,
  createServer,
  getDefaultAutoSelectFamily,
  getDefaultAutoSelectFamilyAttemptTimeout,
  isIP,
  isIPv4,
  isIPv6,
  setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
}: OwnNet = net
