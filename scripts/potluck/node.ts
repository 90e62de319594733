import type { ProcessEntry } from './process-module.ts'

export const nodeEntry: ProcessEntry = {
  name: 'node',
  summary: "a chef's machine: lends its resources and runs containers",
  examples: [
    'potluck node run --config ~/.config/potluck/node.toml',
    'potluck node run --network kitchen.json --claim 7ZQ2-M4KD-X0PR-9TCV-31GH',
  ],
  load: () => import('../../node/index.ts'),
  async commands(io) {
    const [{ nodeLimitsCommand }, { nodeReportCommand }] = await Promise.all([
      import('./node-limits.ts'),
      import('./node-report.ts'),
    ])
    return [nodeLimitsCommand(io), nodeReportCommand(io)]
  },
}
