// For worlds that run programs of promises: lets everything that is settled be acted on.

/** Resolves after the microtask queue ran empty, by way of the event loop. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
