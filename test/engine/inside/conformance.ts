/** Docker against the promises that every engine keeps. */
import { engineConformance } from '../../../node/engine/engine.conformance.ts'
import { busyboxImage, createFolders, createRig, leftoversOf } from './rig.ts'

engineConformance('Docker', async () => {
  const rig = await createRig(await createFolders())
  const sh = (script: string): readonly string[] => ['/bin/sh', '-c', script]
  return {
    engine: rig.engine,
    ...(await busyboxImage()),
    commands: {
      forever: sh('trap "exit 0" TERM; echo hello; while :; do sleep 1 & wait $!; done'),
      stubborn: sh('trap "" TERM; while :; do sleep 1; done'),
      exit: (code) => sh(`exit ${code}`),
      print: (lines) => sh(lines.map((line) => `echo ${line}`).join('; ')),
    },
    leftovers: () => leftoversOf(rig),
    stop: () => rig.stop(),
  }
})
