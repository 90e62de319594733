/** A stand-in for the node's daemon: starts its engine and one container, says so, and waits. */
import { testSpec } from '../../../node/engine/engine.conformance.ts'
import { startFakeEndpoint } from '../../../node/engine/fake-endpoint.ts'
import { busyboxImage, createRig } from './rig.ts'

const [dataDir = '', runDir = ''] = process.argv.slice(2)
const rig = await createRig({ dataDir, runDir })
const endpoint = await startFakeEndpoint((await busyboxImage()).image)
await rig.engine.pull(endpoint.source, { signal: rig.signal })
const spec = testSpec(endpoint, { command: ['/bin/sleep', '1000'] })
const container = await rig.engine.run(spec, { signal: rig.signal })
process.send?.({ id: container.id, instance: spec.instance })
setInterval(() => {}, 60_000)
