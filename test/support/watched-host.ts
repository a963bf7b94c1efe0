// A host on a TAP that is watched from both sides: our own capture of the device, and tcpdump's on Linux's side of it.

import type { Captures } from './hourglass.ts'
import type { Namespace } from './namespace.ts'
import { type TapHost, type TapHostOptions, withTapHost } from './tap-host.ts'
import { tcpdump } from './tcpdump.ts'

/** Like withTapHost. With offloads Linux sees our checksums before its device would complete them: those it has are not looked at. */
export const withWatchedHost = (
  captures: Captures,
  options: Omit<TapHostOptions, 'capture'>,
  body: (host: TapHost, namespace: Namespace) => Promise<void>,
): Promise<void> =>
  withTapHost({ ...options, capture: captures.path() }, async (host, namespace) => {
    const seen = await tcpdump(namespace, captures.path(options.offload !== false))
    await body(host, namespace)
    await seen()
  })
