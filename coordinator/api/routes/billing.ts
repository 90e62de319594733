/** What an organization used and owes: Potluck's own paths. Amounts are text, because they are exact. */
import Type from 'typebox'
import { type Accrued, hourMs, type Ledger, monthOf, type UsageRecord } from '../../ledger/index.ts'
import { callerOf } from '../guards.ts'
import {
  type ApiInstance,
  bodyProblems,
  OrganizationParams,
  paths,
  type RouteContext,
} from './context.ts'

/** The ledger as the API sees it. */
export type BillingDesk = Readonly<{
  usage: Ledger['usage']
  /** What runs now and is not booked yet. */
  accrued: (organizationId: string) => readonly Accrued[]
  /** Coordinator's time. */
  nowMs: () => number
}>

const amount = Type.String({ pattern: '^[0-9]{1,39}$' })
const monthForm = '^[0-9]{4}-(0[1-9]|1[0-2])$'
const month = Type.String({ pattern: monthForm, description: 'A month in UTC: 2026-01' })
const totals = { seconds: amount, micro_units: amount }

const UsageLineSchema = Type.Object({
  project_name: Type.String(),
  container_group_id: Type.String(),
  container_group_name: Type.String(),
  gpu_class_id: Type.Union([Type.String(), Type.Null()]),
  ...totals,
})
const UsageSchema = Type.Object(
  { month, ...totals, items: Type.Array(UsageLineSchema) },
  { title: 'Usage', description: 'Seconds that instances ran, and what they cost.' },
)
const InvoiceSchema = Type.Object({
  month,
  status: Type.Union([Type.Literal('open'), Type.Literal('final')], {
    description: 'open: the month goes on',
  }),
  ...totals,
  projects: Type.Array(Type.Object({ project_name: Type.String(), ...totals })),
})
const InvoicesSchema = Type.Object({ items: Type.Array(InvoiceSchema) }, { title: 'Invoices' })

export function billingRoutes(app: ApiInstance, { tenants, billing }: RouteContext): void {
  const tags = ['billing']
  app.get(
    `${paths.organization}/usage`,
    {
      schema: {
        ...{ operationId: 'get_usage', summary: 'What instances used in a month', tags },
        params: OrganizationParams,
        querystring: Type.Object({ month: Type.Optional(month) }),
        response: { 200: UsageSchema, ...bodyProblems },
      },
    },
    async (request) => {
      const { id } = tenants.organization(callerOf(request), request.params.organization_name)
      const wanted = request.query.month ?? monthOf(billing.nowMs())
      const lines = (await linesOf(billing, id)).filter((line) => line.month === wanted)
      const items = [...lines].sort(byName).map((line) => ({
        project_name: line.project,
        container_group_id: line.group,
        container_group_name: line.groupName,
        gpu_class_id: line.gpuClass ?? null,
        ...shown(line),
      }))
      return { month: wanted, ...shown(sumOf(lines)), items }
    },
  )
  app.get(
    `${paths.organization}/invoices`,
    {
      schema: {
        ...{ operationId: 'list_invoices', summary: 'An invoice for each month', tags },
        params: OrganizationParams,
        response: { 200: InvoicesSchema, ...bodyProblems },
      },
    },
    async (request) => {
      const { id } = tenants.organization(callerOf(request), request.params.organization_name)
      const byMonth = Map.groupBy(await linesOf(billing, id), (line) => line.month)
      // The last hour of a month is booked once it is over.
      const newest = monthOf(billing.nowMs() - hourMs)
      const items = [...byMonth]
        .sort(([a], [b]) => (a < b ? 1 : -1))
        .map(([name, lines]) => ({
          month: name,
          status: name >= newest ? ('open' as const) : ('final' as const),
          ...shown(sumOf(lines)),
          projects: [...Map.groupBy(lines, (line) => line.project)].map(([project, own]) => ({
            project_name: project,
            ...shown(sumOf(own)),
          })),
        }))
      return { items }
    },
  )
}

type Line = Readonly<Omit<UsageRecord, 'seconds' | 'micros'> & { seconds: bigint; micros: bigint }>

/** Booked and not booked yet, one line for a group, GPU class and month. */
async function linesOf(billing: BillingDesk, organizationId: string): Promise<readonly Line[]> {
  const booked = await billing.usage(organizationId)
  const all: Line[] = booked.map((record) => {
    return { ...record, seconds: BigInt(record.seconds), micros: BigInt(record.micros) }
  })
  for (const { terms, seconds, micros, hourMs: ranMs } of billing.accrued(organizationId)) {
    const { project, group, groupName, gpuClass } = terms
    const about = { month: monthOf(ranMs), project, group, groupName }
    all.push({ ...about, ...(gpuClass ? { gpuClass } : {}), seconds: BigInt(seconds), micros })
  }
  const lines = Map.groupBy(all, (line) => `${line.month} ${line.group} ${line.gpuClass ?? ''}`)
  return [...lines.values()].flatMap((own) => (own[0] ? [{ ...own[0], ...sumOf(own) }] : []))
}

type Sum = Readonly<{ seconds: bigint; micros: bigint }>

function sumOf(lines: readonly Sum[]): Sum {
  let [seconds, micros] = [0n, 0n]
  for (const line of lines) {
    seconds += line.seconds
    micros += line.micros
  }
  return { seconds, micros }
}

function shown({ seconds, micros }: Sum) {
  return { seconds: String(seconds), micro_units: String(micros) }
}

function byName(a: Line, b: Line): number {
  return a.project.localeCompare(b.project) || a.groupName.localeCompare(b.groupName)
}
