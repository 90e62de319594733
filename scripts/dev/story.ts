/** What `potluck dev` says when it is ready: enough to deploy something by copying a line. */
import type { DevFacts } from './dev-network.ts'

export function readyStory(facts: DevFacts, folder: string): string {
  const { baseUrl, apiKey, organization, project, nodes, image, registry } = facts
  const containers = `${baseUrl}/organizations/${organization}/projects/${project}/containers`
  const body = {
    name: 'hello',
    replicas: Math.min(2, nodes),
    autostart_policy: true,
    restart_policy: 'always',
    container: { image, resources: { cpu: 1, memory: 1024 } },
  }
  const push = registry
    ? [
        '',
        'Put images of yours into its registry, then deploy them by the same name:',
        `  skopeo copy --dest-tls-verify=false docker-archive:app.tar docker://${registry}/app:1`,
        `  docker push ${registry}/app:1`,
      ]
    : ['', 'Engines are simulated: any image reference resolves, nothing is really run.']
  return [
    `Potluck runs: a coordinator, a cache and ${nodes} nodes.`,
    '',
    `  base URL      ${baseUrl}`,
    `  API key       ${apiKey}`,
    `  organization  ${organization}, project ${project}`,
    `  image         ${image}`,
    ...(registry ? [`  registry      ${registry}`] : []),
    `  API docs      ${new URL('/docs', baseUrl)}`,
    `  logs          ${folder}/*.log`,
    '',
    'Deploy a container group, and watch it:',
    `  curl -s -H 'Salad-Api-Key: ${apiKey}' -H 'Content-Type: application/json' \\`,
    `    -d '${JSON.stringify(body)}' \\`,
    `    ${containers}`,
    `  watch -n 1 "curl -s -H 'Salad-Api-Key: ${apiKey}' ${containers}/hello/instances"`,
    ...push,
    '',
    'Ctrl-C stops it all and leaves nothing.',
    '',
  ].join('\n')
}
