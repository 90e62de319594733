/**
 * How fast one image comes to all homes of a street, against the lower bound that the links set and,
 * if asked, against aria2 on the same street in the same run.
 */
import { rm } from 'node:fs/promises'
import { unmountUnder } from '../../../protocol/mounts/index.ts'
import {
  createProcesses,
  createRunFolder,
  createStreet,
  type Processes,
  type RunFolder,
  reachInto,
  type Street,
} from '../../../scripts/street/index.ts'
import { defineBench, type Figures, round } from '../bench.ts'
import { transferByAria2 } from './aria2.ts'
import { layOutStreet } from './homes.ts'
import { cutHalf, killCache } from './incidents.ts'
import { busyShare } from './line-counters.ts'
import { lowerBoundS, type StreetLinks, streetLinks } from './links.ts'
import { startNetwork } from './network.ts'
import { makeImage, pushAndIngest, type Transfer, transfer } from './transfer.ts'

const options = {
  homes: { description: 'homes', default: 8 },
  mb: { description: 'megabytes (10^6 bytes) of the image', default: 64 },
  'seed-up': { description: "upload of the cache's link, Mbit/s", default: 20 },
  up: {
    description: "upload of the homes' links, Mbit/s; several are dealt out in turn",
    default: [10],
  },
  down: { description: "download of the homes' links, Mbit/s", default: 50 },
  vs: { description: 'measures a rival on the same street', default: '', choices: ['aria2'] },
  congestion: {
    description: "TCP's congestion control; the machine's own if not given",
    default: '',
    choices: ['bbr', 'cubic', 'reno'],
  },
  cut: { description: 'halfway, half of the homes lose their lines for 20 s', default: false },
  'kill-cache': {
    description: 'halfway, the cache is killed -9 and started again',
    default: false,
  },
} as const

/** More than any run on these links should take; one that hangs must end. */
const deadlineFactor = 6
const deadlineBaseMs = 180_000

export const swarm = defineBench({
  summary: 'one image to all homes of a street of real links (root)',
  options,
  async run(values, tell) {
    const { homes, mb, 'seed-up': seedUpMbits, up: upMbits, down: downMbits } = values
    const links = streetLinks({ homes, seedUpMbits, upMbits, downMbits })
    const image = await makeImage(mb * 1_000_000)
    const boundS = lowerBoundS(image.blobBytes, links)
    const signal = AbortSignal.timeout(Math.ceil(deadlineBaseMs + deadlineFactor * boundS * 1000))
    return await onStreet(async ({ run, processes, street }) => {
      const control = values.congestion === '' ? {} : { congestionControl: values.congestion }
      const swarmStreet = await layOutStreet(links, { street, ...control })
      const { internet, congestionControl } = swarmStreet
      tell(`${homes} homes, bound ${round(boundS)} s, ${congestionControl}`)
      const agent = (await reachInto(internet.namespace, { processes, run })).agent()
      const parts = { swarmStreet, links, run, processes, agent, signal, image, tell }
      const network = await startNetwork(parts)
      await pushAndIngest(network, parts)
      const incident = incidentOf(values)
      const ours = await transfer(network, { ...parts, incident })
      await network.stop()
      for (const line of describe(ours, links)) tell(line)
      const theirs = values.vs === 'aria2' ? await transferByAria2(parts) : undefined
      await agent.destroy()
      return figuresOf(ours, theirs, { boundS, bytes: image.blobBytes, congestionControl })
    })
  },
})

function incidentOf(values: { readonly cut: boolean; readonly 'kill-cache': boolean }) {
  if (values.cut) return cutHalf
  return values['kill-cache'] ? killCache : undefined
}

type Stage = Readonly<{ run: RunFolder; processes: Processes; street: Street }>

/** Makes a street, and leaves nothing of it. */
async function onStreet<T>(work: (stage: Stage) => Promise<T>): Promise<T> {
  const run = await createRunFolder()
  const processes = createProcesses({ run })
  try {
    const street = await createStreet({ run })
    try {
      return await work({ run, processes, street })
    } finally {
      await processes.stopAll({ graceMs: 5_000 })
      await street.dispose()
    }
  } finally {
    // A process that was killed leaves the tmpfs of its one-time keys.
    await unmountUnder(run.path)
    await rm(run.path, { recursive: true, force: true })
  }
}

function figuresOf(
  ours: Transfer,
  theirs: readonly number[] | undefined,
  facts: Readonly<{ boundS: number; bytes: number; congestionControl: string }>,
): Figures {
  const { boundS, bytes, congestionControl } = facts
  const lastS = Math.max(...ours.doneS)
  const aria2LastS = theirs ? Math.max(...theirs) : null
  return {
    homes: ours.doneS.length,
    bytes,
    registryBytes: ours.registryBytes,
    boundS: round(boundS),
    firstS: round(Math.min(...ours.doneS)),
    lastS: round(lastS),
    ratioToBound: round3(lastS / boundS),
    aria2LastS: aria2LastS === null ? null : round(aria2LastS),
    ratioToAria2: aria2LastS === null ? null : round3(lastS / aria2LastS),
    duplicateBytes: ours.duplicateBytes,
    cpuSecondsPerGB: round(ours.cpuSeconds / ((ours.doneS.length * bytes) / 1e9)),
    congestionControl,
  }
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000
}

/** What a person wants to know when the ratio is bad: which link idled, and when. */
function describe({ doneS, samples, startMs }: Transfer, links: StreetLinks): string[] {
  const lastMs = startMs + Math.max(...doneS) * 1000
  const rates = [links.seedUpBitsPerS, ...links.homes.map(({ upBitsPerS }) => upBitsPerS)]
  const tenths = Array.from({ length: 10 }, (_, at) => startMs + ((lastMs - startMs) * at) / 10)
  return rates.map((bitsPerS, at) => {
    const share = (fromMs: number, toMs: number): string =>
      busyShare(samples, { at, bitsPerS, fromMs, toMs }).toFixed(2).padStart(5)
    const name = at === 0 ? 'seed' : `home${at}`
    const times = at === 0 ? '' : ` done ${round(doneS[at - 1] ?? 0)} s`
    const step = (lastMs - startMs) / 10
    const shares = tenths.map((ms) => share(ms, ms + step)).join('')
    return `${name.padEnd(7)} up ${bitsPerS / 1e6} Mbit/s, busy ${share(startMs, lastMs)}: ${shares}${times}`
  })
}
