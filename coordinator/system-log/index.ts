/** System events: what happened to a group and its instances, in words that tenants know. */
export { openSystemLog, type SystemEvent, type SystemLog } from './system-log.ts'
