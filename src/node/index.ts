// What a Node program gets from `hourglass/node`: hosts on real links, and the parts they are made of.

export { CaptureFile } from './capture-file.ts'
export { BatchClock } from './clock.ts'
export { examine, type Finding } from './doctor.ts'
export { Driver, type DriverInfo, type DriverOptions } from './driver.ts'
export { dumpLines, dumpObjects } from './dump.ts'
export type { IsnChoice } from './epoch-file.ts'
export { Host } from './host.ts'
export type { HostLink, HostOptions } from './host-options.ts'
export { openLink } from './open-link.ts'
export { CryptoRandom } from './random.ts'
export { type Service, startServices } from './services.ts'
export { settle } from './settle.ts'
