/** What is mounted on this machine, and how a peer mounts what must not reach a disk. */
export { mount, mountTmpfs, type TmpfsInit, unmount, unmountUnder } from './mount.ts'
export {
  isTmpfs,
  type Mount,
  mountOf,
  mountPointsUnder,
  parseMounts,
  readMounts,
} from './mount-table.ts'
