/**
 * Who may import whom, each rule with its reason. Read by scripts/check/layers.ts, which also
 * asserts that modules were read at all: under a TypeScript without a compiler API (7.0)
 * dependency-cruiser reads none, finds nothing wrong and is green.
 */
const notProduction = '\\.(test|conformance|fixture|e2e|long)\\.ts$|/testing/'

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'protocol-knows-no-part',
      comment: 'protocol/ is what every peer shares; with a part in it, every peer would carry it.',
      severity: 'error',
      from: { path: '^protocol/' },
      to: { path: '^(node|coordinator|registry-cache)/' },
    },
    ...['node', 'coordinator', 'registry-cache'].map((part) => ({
      name: `${part}-meets-others-on-the-wire`,
      comment: 'Parts run on different machines in different versions: they share messages, not code.',
      severity: 'error',
      from: { path: `^${part}/` },
      to: { path: '^(node|coordinator|registry-cache)/', pathNot: `^${part}/` },
    })),
    {
      name: 'product-needs-no-tests',
      comment: 'test/ and scripts/ are for people and CI; they may go away without anything breaking.',
      severity: 'error',
      from: { path: '^(protocol|node|coordinator|registry-cache)/' },
      to: { path: '^(test|scripts)/' },
    },
    {
      name: 'scripts-need-no-tests',
      comment: 'What demo, dev and tests have in common lies in scripts/: test/ holds only who uses it.',
      severity: 'error',
      from: { path: '^scripts/' },
      to: { path: '^test/' },
    },
    {
      name: 'production-imports-no-test',
      comment: 'A test file in production code brings mocha, fixtures and fakes with it.',
      severity: 'error',
      from: { path: '^(protocol|node|coordinator|registry-cache)/', pathNot: notProduction },
      to: { path: '\\.(test|conformance|e2e|long)\\.ts$' },
    },
    {
      name: 'production-needs-no-dev-dependency',
      comment: 'An installed Potluck has no dev dependencies; the import would fail there alone.',
      severity: 'error',
      from: { path: '^(protocol|node|coordinator|registry-cache)/', pathNot: notProduction },
      to: { dependencyTypes: ['npm-dev'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'state-behind-the-store',
      comment: 'level is one driver of the Store interface; who imports it cannot move to another.',
      severity: 'error',
      from: { path: '^(protocol|node|coordinator|registry-cache)/', pathNot: '^protocol/store/' },
      to: { path: 'node_modules/(classic-|abstract-|memory-)?level/' },
    },
    {
      name: 'one-signing-module',
      comment: 'tweetnacl and node:crypto disagree on odd signatures; signing/ refuses those first.',
      severity: 'error',
      from: { path: '^(protocol|node|coordinator|registry-cache)/', pathNot: '^protocol/(signing|sealing|identity)/' },
      to: { path: 'node_modules/tweetnacl/' },
    },
    {
      name: 'engine-behind-its-interface',
      comment: 'The simulated engine replaces Docker only where nobody talks to Docker directly.',
      severity: 'error',
      from: { path: '^(protocol|node|coordinator|registry-cache)/', pathNot: '^node/engine/' },
      to: { path: 'node_modules/(@types/)?(dockerode|docker-modem)/' },
    },
    {
      name: 'not-resolvable',
      comment: 'An import that leads nowhere fails only when that line runs.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // `import type` crosses a border as much as any other import.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json'],
    },
  },
}
