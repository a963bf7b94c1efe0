// What require('hourglass/dgram') gives: node:dgram over the host of this process, which is open by then (process-host.ts).
// require() takes no module that waits, as dgram.ts does.

import { openedProcessHost } from '../process-host.ts'

const { dgram } = openedProcessHost()

export { dgram as default, dgram as 'module.exports' }
