// What require('hourglass/net') gives: node:net over the host of this process, which is open by then (process-host.ts).
// require() takes no module that waits, as net.ts does.

import { openedProcessHost } from '../process-host.ts'

const { net } = openedProcessHost()

export { net as default, net as 'module.exports' }
