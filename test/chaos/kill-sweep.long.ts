/** The sweep: what kill-simulated.e2e.ts tries a few times, tried more than a hundred times. */
import { chaosRun } from './chaos-run.ts'

const networks = 4
const killsEach = 30

for (let number = 1; number <= networks; number++) {
  describe(`kill -9 at random moments, simulated engines, network ${number}`, function () {
    this.timeout(900_000)
    chaosRun({ kills: killsEach })
  })
}
