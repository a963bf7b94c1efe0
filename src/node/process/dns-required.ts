// What require('hourglass/dns') gives: node:dns over the host of this process, which is open by then (process-host.ts).
// require() takes no module that waits, as dns.ts does.

import { openedProcessHost } from '../process-host.ts'

const { dns } = openedProcessHost()

export { dns as default, dns as 'module.exports' }
