import { spreadBan } from './ban-spread.ts'

describe('a ban among 20 homes', function () {
  this.timeout(90_000)

  it('reaches the last within 3 s, also after a restart, and who was offline', async () => {
    await spreadBan({ homes: 20, away: 4 })
  })
})
