// The types of `hourglass/dns`: node:dns's own, so that a program which changes an import changes nothing else.

export * from 'node:dns'
export { default } from 'node:dns'
