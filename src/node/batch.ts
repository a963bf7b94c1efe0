// Whether a driver is in the middle of a batch from the network (driver.ts says so). What sockets hear then is told when
// it is over, without another round of the event loop, as libuv tells what it polled (net/handle.ts).

export const Batch = { running: false }
