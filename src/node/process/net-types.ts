// The types of `hourglass/net`: node:net's own, so that a program which changes an import changes nothing else.

export * from 'node:net'
export { default } from 'node:net'
