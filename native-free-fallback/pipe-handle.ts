// Node's own pipe around a descriptor of any kind that epoll(7) takes: the one way to have libuv wait for a character
// device or an eventfd. It goes through process.binding, a deprecated door, so every caller has a way round for the day on
// which it is shut.

interface PipeHandle {
  open(fd: number): number | undefined
  close(): void
}
interface PipeBinding {
  Pipe: new (type: number) => PipeHandle
  constants: { SOCKET: number }
}

/** A handle for `new net.Socket({ handle })`, which then owns the descriptor; null where there is no such thing. */
export function adoptDescriptor(fd: number): object | null {
  const door = (process as unknown as { binding?: (name: string) => unknown }).binding
  if (typeof door !== 'function') return null
  try {
    const { Pipe, constants } = door.call(process, 'pipe_wrap') as PipeBinding
    const handle = new Pipe(constants.SOCKET)
    const failed = handle.open(fd)
    return failed === undefined || failed === 0 ? handle : null
  } catch {
    return null
  }
}
