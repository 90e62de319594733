/**
 * A type for each kind of id, so that a node is never passed where a slot was meant. Values are
 * plain strings and numbers on the wire; they are branded once, at the border that validated them.
 */
declare const brand: unique symbol
type Branded<T, B extends string> = T & { readonly [brand]: B }

/** A peer's libp2p id in base58 (`12D3KooW…`): a node, a cache or a coordinator. */
export type PeerId = Branded<string, 'PeerId'>
/** The name of a network: 32 lower-case hex digits, the truncated SHA-256 of its root key. */
export type NetworkId = Branded<string, 'NetworkId'>
/** `<group uuid>/<number>`: one of the N places of a container group. */
export type SlotId = Branded<string, 'SlotId'>
/** A slot's fencing number, from 1; it only rises within a term. */
export type Epoch = Branded<number, 'Epoch'>
/** The coordinator's term, from 1; certified by the root key. */
export type Term = Branded<number, 'Term'>
/** UUID of a container group. */
export type GroupId = Branded<string, 'GroupId'>
/** UUID of an instance, drawn when a container is to be created. */
export type InstanceId = Branded<string, 'InstanceId'>
/** Lower-case hex SHA-256 of a descriptor. */
export type BundleId = Branded<string, 'BundleId'>
/** Lower-case hex, 64 digits: names a blob in a descriptor, and reveals nothing of its digest. */
export type BlobId = Branded<string, 'BlobId'>
/** `sha256:<64 hex>`: an OCI content digest of plaintext. */
export type Digest = Branded<string, 'Digest'>

/** `<group>/<number>`. */
export function slotId(group: GroupId, number: number): SlotId {
  return `${group}/${number}` as SlotId
}

/** The group and the number that a slot id is made of. */
export function parseSlotId(slot: SlotId): { readonly group: GroupId; readonly number: number } {
  const at = slot.lastIndexOf('/')
  return { group: slot.slice(0, at) as GroupId, number: Number(slot.slice(at + 1)) }
}

/** A slot's fencing token; see {@link compareFence}. */
export type Fence = Readonly<{ term: Term; epoch: Epoch }>

/** Negative, zero or positive as `a` is older than, equal to or newer than `b`. */
export function compareFence(a: Fence, b: Fence): number {
  return a.term - b.term || a.epoch - b.epoch
}
