import { expect } from 'chai'
import { scheduleProblem } from './schedule-problem.ts'

describe('coordinator/scaling: what is wrong with a schedule', () => {
  it('takes what crontab takes', () => {
    for (const schedule of [
      '* * * * *',
      '0 5 * * *',
      '*/10 8-18/2 1,15 jan-MAR mon-fri',
      '59\t23 31 12 7',
      '0 0 1 1 sun',
    ]) {
      expect(scheduleProblem(schedule), schedule).to.equal(undefined)
    }
  })

  it('names the field that is wrong', () => {
    for (const [schedule, says] of [
      ['0 5 * *', 'five fields; got 4'],
      ['60 5 * * *', 'minute'],
      ['0 24 * * *', 'hour'],
      ['0 0 0 * *', 'day of month'],
      ['0 0 1 13 *', 'month'],
      ['0 0 1 foo *', 'jan to dec'],
      ['0 0 1 1 8', 'day of week'],
      ['5-1 * * * *', 'minute'],
      ['*/0 * * * *', 'minute'],
      ['*-5 * * * *', 'minute'],
      ['1,,2 * * * *', 'minute'],
    ] as const) {
      expect(scheduleProblem(schedule), schedule).to.contain(says)
    }
  })
})
