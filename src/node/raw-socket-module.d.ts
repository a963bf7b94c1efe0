// As much of the npm package raw-socket (which has no types of its own) as raw-socket.ts uses.

declare module 'raw-socket' {
  export const AddressFamily: { readonly IPv4: number; readonly IPv6: number }

  export interface RawSocket {
    on(event: 'message', listener: (message: Buffer, source: string) => void): this
    on(event: 'error', listener: (error: Error) => void): this
    on(event: 'close', listener: () => void): this
    send(
      message: Buffer,
      offset: number,
      length: number,
      address: string,
      done: (error: Error | null, sent: number) => void,
    ): this
    close(): this
  }

  export function createSocket(options: { protocol: number; addressFamily: number; bufferSize: number }): RawSocket
}
