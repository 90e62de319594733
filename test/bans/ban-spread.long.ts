import { spreadBan } from './ban-spread.ts'

describe('a ban among 200 homes', () => {
  it('reaches the last within 3 s, also after a restart, and who was offline', async () => {
    process.stdout.write(`${JSON.stringify(await spreadBan({ homes: 200, away: 20 }))}\n`)
  })
})
