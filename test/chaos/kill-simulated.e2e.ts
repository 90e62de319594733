/**
 * Kill -9 of any process at any moment of a deployment ends in the desired state with no container
 * too many. Real processes and a real mesh; the engine is simulated, so that many kills fit into a
 * short run. The long sweep is in kill-sweep.long.ts, real engines in kill-docker.e2e.ts.
 */
import { chaosRun } from './chaos-run.ts'

describe('kill -9 at random moments of a deployment, simulated engines', function () {
  this.timeout(300_000)
  chaosRun({ kills: 12 })
})
