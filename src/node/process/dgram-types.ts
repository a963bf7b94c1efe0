// The types of `hourglass/dgram`: node:dgram's own, so that a program which changes an import changes nothing else.

export * from 'node:dgram'
export { default } from 'node:dgram'
