/** The stream that each peer opens to the coordinator and keeps: its name, its bounds, its pace. */

export const controlProtocol = '/potluck/control/1'

/** Both ways: the longest frame, and how many unread bytes end the stream. */
export const controlLimits = { maxFrameBytes: 2 << 20, maxBufferedBytes: 8 << 20 } as const

/** How often a peer beats, and how long a lease lives; leases.md. */
export const leaseNumbers = { beatMs: 5_000, leaseMs: 15_000 } as const

/** The most that one hello or beat tells: instances of a node, and bundles of each kind. */
export const instancesMax = 64
export const bundlesMax = 4_096
