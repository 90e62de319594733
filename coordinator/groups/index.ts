/** Container groups: what tenants want. The control plane reads them and reports through `view`. */

export { machineIdOf } from '../../protocol/identity/index.ts'
export { InstanceGoneError, InstanceUnreachableError } from './errors.ts'
export { type GpuClass, gpuClassById, gpuClasses, gpuClassOf } from './gpu-classes.ts'
export { createGroups, type GroupsComponents, type GroupsInit } from './groups.ts'
export { imageReferenceProblem } from './image-reference.ts'
export * from './types.ts'
export * from './view.ts'
