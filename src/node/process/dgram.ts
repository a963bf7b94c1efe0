// `hourglass/dgram`: node:dgram over the host of this process (process-host.ts), which is opened when this is imported.

import type { DgramModule } from '../dgram/dgram.ts'
import { processHost } from '../process-host.ts'

const host = await processHost()
const dgram: DgramModule = host.dgram

export default dgram
export const { Socket, createSocket }: DgramModule = dgram
