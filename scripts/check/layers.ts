/**
 * The layer rules of .dependency-cruiser.cjs, checked. Apart from breaches it reports how many
 * modules were read, because a checker that reads none finds nothing wrong.
 *
 *     node scripts/check/layers.ts
 */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cruise, type IConfiguration, type ICruiseResult } from 'dependency-cruiser'
import extractTsConfig from 'dependency-cruiser/config-utl/extract-ts-config'

const root = resolve(import.meta.dirname, '../..')
const folders = ['protocol', 'node', 'coordinator', 'registry-cache', 'scripts', 'test']

export type LayerReport = Readonly<{
  /** Our own TypeScript modules that were read. */
  modules: number
  /** Imports that were followed to a module of ours or of a package. */
  imports: number
  /** `rule: from → to (why)` */
  breaches: readonly string[]
}>

/** @throws {Error} a folder holds no module that dependency-cruiser could read. */
export async function checkLayers(baseDir: string = root): Promise<LayerReport> {
  const config: IConfiguration = createRequire(import.meta.url)('../../.dependency-cruiser.cjs')
  const { forbidden = [], options = {} } = config
  const present = folders.filter((folder) => existsSync(join(baseDir, folder)))
  const { output } = await cruise(
    present,
    { ...options, baseDir, validate: true, ruleSet: { forbidden } },
    options.enhancedResolveOptions,
    { tsConfig: extractTsConfig(join(root, 'tsconfig.json')) },
  )
  if (typeof output === 'string') throw new TypeError('dependency-cruiser gave text, not a result')
  return report(output)
}

function report({ modules, summary }: ICruiseResult): LayerReport {
  const own = modules.filter(
    ({ source }) => source.endsWith('.ts') && !source.includes('node_modules'),
  )
  const why = new Map(
    (summary.ruleSetUsed?.forbidden ?? []).map((rule) => [rule.name, rule.comment]),
  )
  return {
    modules: own.length,
    imports: own.reduce((sum, { dependencies }) => sum + dependencies.length, 0),
    breaches: summary.violations.map(
      ({ rule, from, to }) => `${rule.name}: ${from} → ${to}\n    ${why.get(rule.name) ?? ''}`,
    ),
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { modules, imports, breaches } = await checkLayers()
  for (const breach of breaches) console.error(breach)
  if (modules === 0 || imports === 0) console.error('no modules were read: is TypeScript still 6?')
  console.log(`${modules} modules, ${imports} imports, ${breaches.length} breaches`)
  process.exitCode = breaches.length > 0 || modules === 0 || imports === 0 ? 1 : 0
}
