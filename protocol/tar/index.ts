/** Tar archives, as engines take images and registries layers. */
export { type LargeData, type TarEntry, tarOf } from './tar.ts'
