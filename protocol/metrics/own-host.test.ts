import { expect } from 'chai'
import { isOwnHost } from './own-host.ts'

describe('metrics/own-host', () => {
  it('takes addresses, localhost and the names that it was given', () => {
    const own = ['127.0.0.1', '127.0.0.1:9464', '[::1]:9464', '192.168.1.9:9464', 'localhost:9464']
    for (const host of [...own, 'LocalHost', 'NAS.lan:9464', 'nas.lan']) {
      expect(isOwnHost(host, ['nas.LAN']), host).to.equal(true)
    }
  })

  it('takes no other name, and nothing that is no host', () => {
    const foreign = [
      'evil.example',
      'evil.example:9464',
      'localhost.evil.example',
      '127.0.0.1.nip.io',
    ]
    const noise = [undefined, '', ':9464', '[::1', '[evil.example]', '127.0.0.1:port', '::1']
    for (const host of [...foreign, ...noise]) {
      expect(isOwnHost(host, ['nas.lan']), String(host)).to.equal(false)
    }
  })
})
