/**
 * Potluck's OpenAPI against SaladCloud's contract (0.9.0-alpha.17), operation by operation: its id, its
 * path, and every status that it lists. The contract itself is not in a clone, so the list stands here.
 */
import { expect } from 'chai'
import type { OpenApi } from './answers.fixture.ts'
import { startApi } from './api.fixture.ts'

const contract = `
list_container_groups get /organizations/{organization_name}/projects/{project_name}/containers 200 429
create_container_group post /organizations/{organization_name}/projects/{project_name}/containers 201 400 403 429
get_container_group get /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name} 200 404 429
update_container_group patch /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name} 200 400 403 404 429
delete_container_group delete /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name} 202 403 404 429
get_system_logs get /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/system-logs 200 404 429
start_container_group post /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/start 202 400 403 429
stop_container_group post /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/stop 202 400 403 429
list_container_group_instances get /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/instances 200 404 429
get_container_group_instance get /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/instances/{container_group_instance_id} 202 404 429
update_container_group_instance patch /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/instances/{container_group_instance_id} 200 400 403 404 429
reallocate_container_group_instance post /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/instances/{container_group_instance_id}/reallocate 202 404 429
recreate_container_group_instance post /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/instances/{container_group_instance_id}/recreate 202 404 429
restart_container_group_instance post /organizations/{organization_name}/projects/{project_name}/containers/{container_group_name}/instances/{container_group_instance_id}/restart 202 404 429
list_queues get /organizations/{organization_name}/projects/{project_name}/queues 200 404 429
create_queue post /organizations/{organization_name}/projects/{project_name}/queues 201 400 404 429
get_queue get /organizations/{organization_name}/projects/{project_name}/queues/{queue_name} 200 404 429
update_queue patch /organizations/{organization_name}/projects/{project_name}/queues/{queue_name} 200 400 404 429
delete_queue delete /organizations/{organization_name}/projects/{project_name}/queues/{queue_name} 202 404 429
list_queue_jobs get /organizations/{organization_name}/projects/{project_name}/queues/{queue_name}/jobs 200 404 429
create_queue_job post /organizations/{organization_name}/projects/{project_name}/queues/{queue_name}/jobs 201 400 404 429
get_queue_job get /organizations/{organization_name}/projects/{project_name}/queues/{queue_name}/jobs/{queue_job_id} 200 404 429
delete_queue_job delete /organizations/{organization_name}/projects/{project_name}/queues/{queue_name}/jobs/{queue_job_id} 202 404 429
get_quotas get /organizations/{organization_name}/quotas 200 404 429
list_inference_endpoints get /organizations/{organization_name}/inference-endpoints 200 400 401 403 404 429
get_inference_endpoint get /organizations/{organization_name}/inference-endpoints/{inference_endpoint_name} 200 401 403 404 429
list_inference_endpoint_jobs get /organizations/{organization_name}/inference-endpoints/{inference_endpoint_name}/jobs 200 400 401 403 404 429
create_inference_endpoint_job post /organizations/{organization_name}/inference-endpoints/{inference_endpoint_name}/jobs 201 400 401 403 404 429
get_inference_endpoint_job get /organizations/{organization_name}/inference-endpoints/{inference_endpoint_name}/jobs/{inference_endpoint_job_id} 200 401 403 404 429
delete_inference_endpoint_job delete /organizations/{organization_name}/inference-endpoints/{inference_endpoint_name}/jobs/{inference_endpoint_job_id} 202 400 401 403 404 429
list_gpu_classes get /organizations/{organization_name}/gpu-classes 200 404 429
get_webhook_secret_key get /organizations/{organization_name}/webhook-secret-key 200 404 429
update_webhook_secret_key post /organizations/{organization_name}/webhook-secret-key 200 404 429
query_log_entries post /organizations/{organization_name}/log-entries 200 400 401 403 404 429
get_cpu_availability post /organizations/{organization_name}/availability/sce-cpu-availability 200 400 401 403 404 429
get_gpu_availability post /organizations/{organization_name}/availability/sce-gpu-availability 200 400 401 403 404 429
`

type Operation = Readonly<{ id: string; method: string; path: string; statuses: readonly string[] }>

const operations = contract
  .trim()
  .split('\n')
  .map((row): Operation => {
    const [id = '', method = '', path = '', ...statuses] = row.split(' ')
    return { id, method, path, statuses }
  })

describe('coordinator/api: the contract', () => {
  let document: OpenApi
  before(async () => {
    const { app } = await startApi()
    document = app.swagger() as unknown as OpenApi
    await app.close()
  })

  for (const { id, method, path, statuses } of operations) {
    it(`${id}: ${method} ${path}`, () => {
      const operation = document.paths[`/api/public${path}`]?.[method]
      expect(operation?.operationId).to.equal(id)
      expect(operation?.responses).to.include.keys(...statuses, 'default')
    })
  }

  it('gives each operation an id of its own', () => {
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    )
    expect(ids).not.to.include(undefined)
    expect(new Set(ids).size).to.equal(ids.length)
  })
})
