/** An advert for tests. */
import type { PeerId } from '../ids.ts'
import type { CapacityAdvert } from './advert.ts'
import type { Region } from './topics.ts'

export const sampleRegion = 'eu-west' as Region

export function sampleAdvert(peer: PeerId): CapacityAdvert {
  return {
    peer,
    seq: 1,
    cpu: { cores: 16, model: 'AMD Ryzen 9 7950X' },
    memoryBytes: 64 * 2 ** 30,
    diskBytes: 500 * 10 ** 9,
    gpus: [
      {
        class: 'h100',
        name: 'NVIDIA H100 80GB HBM3',
        uuid: 'GPU-0c6ec3ab-3d7b-6b3a-8f1c-6d6b4e0d1c11',
        vramBytes: 81_559 * 2 ** 20,
        driver: '570.124.06',
      },
    ],
    region: sampleRegion,
    versions: { potluck: '0.1.0', engine: '20.10.24', runc: '1.1.5' },
    link: { upBitsPerS: 40_000_000, downBitsPerS: 250_000_000 },
    load: { cpu: 0.1, memory: 0.25, instances: 0 },
    bundles: [],
    quota: 'watched',
  }
}
