import { expect } from 'chai'
import fc from 'fast-check'
import { PotluckError } from '../../protocol/errors.ts'
import { apiHost, formatReference, parseReference, parseRepository } from './reference.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

describe('image references', () => {
  it('reads them as Docker does', () => {
    const cases: Readonly<Record<string, string>> = {
      ubuntu: 'docker.io/library/ubuntu:latest',
      'ubuntu:24.04': 'docker.io/library/ubuntu:24.04',
      'acme/app': 'docker.io/acme/app:latest',
      'docker.io/ubuntu': 'docker.io/library/ubuntu:latest',
      'index.docker.io/acme/app': 'docker.io/acme/app:latest',
      'registry-1.docker.io/library/ubuntu': 'docker.io/library/ubuntu:latest',
      'ghcr.io/owner/name:V1_x': 'ghcr.io/owner/name:V1_x',
      'GHCR.io/owner/name': 'ghcr.io/owner/name:latest',
      'localhost/app': 'localhost/app:latest',
      'localhost:5000/a/b/c:1': 'localhost:5000/a/b/c:1',
      '10.0.0.1:5000/app': '10.0.0.1:5000/app:latest',
      '[::1]:5000/app:2': '[::1]:5000/app:2',
      [`ubuntu@${DIGEST}`]: `docker.io/library/ubuntu@${DIGEST}`,
      [`quay.io/a__b/c-d.e:1@${DIGEST}`]: `quay.io/a__b/c-d.e:1@${DIGEST}`,
    }
    for (const [text, full] of Object.entries(cases)) {
      expect(formatReference(parseReference(text)), text).to.equal(full)
      expect(formatReference(parseReference(full)), full).to.equal(full)
    }
  })

  it('says which part is wrong', () => {
    const cases: Readonly<Record<string, string>> = {
      '': "a part ''",
      Ubuntu: "a part 'Ubuntu'",
      'ghcr.io/Owner/app': "a part 'Owner'",
      'ghcr.io/': "a part ''",
      'app:': 'a tag',
      'app:a/b': 'no valid registry host',
      'Intranet/app': "a part 'Intranet'",
      [`app:${'t'.repeat(129)}`]: 'a tag',
      'app@sha512:00': 'a digest',
      [`app@${DIGEST}@${DIGEST}`]: "more than one '@'",
      'exa mple.com/app': 'no valid registry host',
      'host:99999/app': 'no valid registry host',
      'https://ghcr.io/app': 'no valid registry host',
      'user:pass@ghcr.io/app': 'a digest',
      [`a/${'b'.repeat(260)}`]: 'longer than 255',
    }
    for (const [text, words] of Object.entries(cases)) {
      expect(() => parseReference(text), text)
        .to.throw(words)
        .with.property('code', 'REFERENCE_INVALID')
    }
  })

  it('shows no password that was put into one', () => {
    for (const text of [
      'user:canary@ghcr.io/app',
      'https://user:canary@ghcr.io/app',
      'a@canary@b',
    ]) {
      expect(() => parseReference(text)).to.throw(/^(?!.*canary)/s)
    }
  })

  it('knows which host serves Docker Hub', () => {
    expect(parseRepository('docker.io/library/ubuntu')).to.deep.equal({
      registry: 'docker.io',
      path: 'library/ubuntu',
    })
    expect(apiHost('docker.io')).to.equal('registry-1.docker.io')
    expect(apiHost('ghcr.io')).to.equal('ghcr.io')
  })

  it('makes one text of any input, or a typed error', () => {
    const likely = fc.stringMatching(/^[a-zA-Z0-9.:/@_[\]-]{0,40}$/)
    fc.assert(
      fc.property(fc.oneof(fc.string(), likely), (text) => {
        try {
          const full = formatReference(parseReference(text))
          expect(formatReference(parseReference(full))).to.equal(full)
        } catch (error) {
          expect(error).to.be.instanceOf(PotluckError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})
