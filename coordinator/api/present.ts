/** Records and views as the contract's JSON. The one place that shows a tenant its environment. */
import type { ControlPlaneView, GroupRecord, Groups, InstanceView } from '../groups/index.ts'
import { countsOf, describeStatus, type Observed, statusOf } from './group-status.ts'
import type { GroupJson, InstanceJson } from './schemas/group-response.ts'

export type PresentComponents = Readonly<{
  groups: Pick<Groups, 'openEnv' | 'openLogging'>
  view: Pick<ControlPlaneView, 'instances' | 'image' | 'placementProblem'>
}>

const mib = 2 ** 20

/** Kept fields that are no promise of behaviour, so that not acting on them is no lack. */
const inert = new Set(['image_caching', 'scheduled-scaling-enabled'])

export function presentGroup(
  group: GroupRecord,
  { gatewayDomain }: { readonly gatewayDomain: string },
  { groups, view }: PresentComponents,
): GroupJson {
  const observed: Observed = {
    instances: view.instances(group.id),
    image: view.image(group.id),
    placementProblem: view.placementProblem(group.id),
  }
  // Checked against the same schemas when it came in.
  const { networking, ...kept } = keptOf(group)
  return {
    id: group.id,
    name: group.name,
    display_name: group.displayName,
    organization_name: group.organization,
    project_name: group.project,
    version: group.version,
    create_time: timeOf(group.createdMs),
    update_time: timeOf(group.updatedMs),
    autostart_policy: group.autostart,
    pending_change: observed.instances.some(({ version }) => version < group.version),
    replicas: group.replicas,
    priority: group.container.priority ?? null,
    restart_policy: group.restartPolicy,
    country_codes: group.countryCodes,
    container: presentContainer(group, observed, groups),
    current_state: presentState(group, observed),
    'scaling-actions': [],
    'scheduled-scaling-enabled': false,
    ...kept,
    ...(networking
      ? { networking: { ...networking, dns: `g${group.id.replaceAll('-', '')}.${gatewayDomain}` } }
      : {}),
    potluck: presentExtension(group, observed),
  }
}

type KeptName =
  | 'liveness_probe'
  | 'readiness_probe'
  | 'startup_probe'
  | 'networking'
  | 'queue_autoscaler'
  | 'queue_connection'
  | 'scaling-actions'
  | 'scheduled-scaling-enabled'

function keptOf({ kept: { image_caching: _, ...kept } }: GroupRecord) {
  return kept as Partial<Pick<GroupJson, KeptName>>
}

function presentContainer(
  group: GroupRecord,
  { image }: Observed,
  groups: PresentComponents['groups'],
): GroupJson['container'] {
  const { container } = group
  const logging = groups.openLogging(group) as GroupJson['container']['logging']
  const caching = group.kept.image_caching as boolean | undefined
  return {
    image: container.image,
    command: container.command,
    environment_variables: groups.openEnv(group),
    resources: {
      cpu: container.milliCpus / 1_000,
      memory: container.memoryBytes / mib,
      gpu_classes: container.gpuClasses,
      shm_size: container.shmBytes / mib,
      storage_amount: container.storageBytes,
    },
    ...(caching === undefined ? {} : { image_caching: caching }),
    ...(logging === undefined ? {} : { logging }),
    ...(image?.digest ? { hash: image.digest } : {}),
    ...(image && image.bytesTotal > 0 ? { size: image.bytesTotal } : {}),
  }
}

function presentState(group: GroupRecord, observed: Observed): GroupJson['current_state'] {
  const { allocating, creating, running, stopping } = countsOf(group, observed)
  const isStopped = group.desired === 'stopped'
  // The contract wants both times always: a group that never ran began when it was made.
  const start = isStopped ? group.createdMs : group.desiredSinceMs
  return {
    status: statusOf(group, observed),
    description: describeStatus(group, observed)?.replaceAll(/\s+/g, ' ').slice(0, 1_000) ?? null,
    start_time: timeOf(start),
    finish_time: timeOf(isStopped ? group.desiredSinceMs : start),
    instance_status_counts: {
      allocating_count: allocating,
      creating_count: creating,
      running_count: running,
      stopping_count: stopping,
    },
  }
}

function presentExtension(
  { extension, kept, loggingSealed }: GroupRecord,
  observed: Observed,
): GroupJson['potluck'] {
  const { image } = observed
  const idle = Object.keys(kept).filter((name) => !inert.has(name))
  return {
    lost_after: extension.lostAfterMs / 1_000,
    orphan_after: extension.orphanAfterMs / 1_000,
    strict: extension.strict,
    min_upload_mbps: extension.minUploadMbps ?? 0,
    min_download_mbps: extension.minDownloadMbps ?? 0,
    sensitive: extension.sensitive ?? false,
    scaling_actions: (kept['scaling-actions'] ?? []) as GroupJson['scaling-actions'],
    image: {
      state: image?.state ?? 'preparing',
      bytes_done: image?.bytesDone ?? 0,
      bytes_total: image?.bytesTotal ?? 0,
      ...(image?.fault ? { fault: image.fault } : {}),
    },
    not_in_effect: [...idle, ...(loggingSealed ? ['container.logging'] : [])],
  }
}

export function presentInstance(instance: InstanceView): InstanceJson {
  const { bytesTotal, bytesDone } = instance
  return {
    id: instance.id,
    machine_id: instance.machineId,
    state: instance.state,
    update_time: timeOf(instance.updatedMs),
    version: instance.version,
    ready: instance.ready,
    started: instance.started,
    deletion_cost: instance.deletionCost,
    ...(bytesTotal > 0
      ? { pulling_progress: Math.min(100, Math.floor((1_000 * bytesDone) / bytesTotal) / 10) }
      : {}),
    potluck: {
      slot: instance.slot,
      term: instance.term,
      epoch: instance.epoch,
      node: instance.node,
      restarts: instance.restarts,
      bytes_total: bytesTotal,
      bytes_done: bytesDone,
      bytes_from_caches: instance.bytesFromCaches,
      bytes_from_peers: instance.bytesFromPeers,
      bytes_served: instance.bytesServed,
      ...(instance.fault ? { fault: instance.fault } : {}),
    },
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
