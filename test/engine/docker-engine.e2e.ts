/**
 * The engine and the firewall on real parts. What is tested runs in a home's own namespace, in a
 * mocha of its own, because a process cannot change its namespace; here its verdict is read.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { expect } from 'chai'
import { createHome, type TestHome } from './home.ts'

const mocha = join(import.meta.dirname, '../../node_modules/mocha/bin/mocha.js')

describe('an engine in a home', function () {
  this.timeout(300_000)
  let home: TestHome

  before(async () => {
    home = await createHome()
  })
  after(() => home?.stop())

  for (const suite of ['conformance', 'isolation', 'managed-engine']) {
    it(`${suite}: passes in the home's namespace`, async () => {
      const file = join(import.meta.dirname, 'inside', `${suite}.ts`)
      const child = home.inside([process.execPath, mocha, '--reporter', 'spec', file])
      let output = ''
      child.stdout?.on('data', (piece) => {
        output += piece
      })
      child.stderr?.on('data', (piece) => {
        output += piece
      })
      const [code] = await once(child, 'exit')
      expect(code, output).to.equal(0)
      expect(output).to.match(/\d+ passing/)
    })
  }
})
