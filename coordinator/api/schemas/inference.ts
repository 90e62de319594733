/** What clients send and see of inference endpoints and of their jobs there. */
import Type, { type Static } from 'typebox'
import { DisplayNameSchema, lineOf, NameSchema, TimeSchema, UuidSchema } from './fields.ts'
import {
  InputSchema,
  JobEventsSchema,
  JobStatusSchema,
  MetadataSchema,
  WebhookSchema,
} from './queues.ts'

const page = {
  page: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
  page_size: Type.Integer({ minimum: 1, maximum: 100 }),
  total_size: Type.Integer({ minimum: 0, maximum: 2_147_483_647 }),
}

export const EndpointSchema = Type.Object(
  {
    id: UuidSchema,
    name: NameSchema,
    display_name: DisplayNameSchema,
    description: lineOf(0, 1_000),
    organization_name: Type.Unsafe<string>({
      ...NameSchema,
      description: 'The organization that publishes it.',
    }),
    icon_url: lineOf(1, 2_048),
    input_schema: lineOf(1, 100_000),
    output_schema: lineOf(1, 100_000),
    price_description: lineOf(1, 100),
    readme: lineOf(1, 100_000),
  },
  { title: 'InferenceEndpoint' },
)

export const EndpointCollectionSchema = Type.Object({
  ...page,
  items: Type.Array(EndpointSchema, { maxItems: 100 }),
})

export const CreateEndpointJobSchema = Type.Object(
  {
    input: InputSchema,
    metadata: Type.Optional(MetadataSchema),
    webhook: Type.Optional(WebhookSchema),
    webhook_url: Type.Optional(WebhookSchema),
  },
  { title: 'InferenceEndpointJobPrototype' },
)

export const EndpointJobSchema = Type.Object(
  {
    id: UuidSchema,
    inference_endpoint_name: NameSchema,
    organization_name: NameSchema,
    input: InputSchema,
    metadata: Type.Optional(MetadataSchema),
    output: Type.Optional(Type.Unknown()),
    status: JobStatusSchema,
    events: JobEventsSchema,
    create_time: TimeSchema,
    update_time: TimeSchema,
    webhook: Type.Optional(WebhookSchema),
    webhook_url: Type.Optional(WebhookSchema),
  },
  { title: 'InferenceEndpointJob' },
)
export type EndpointJobJson = Static<typeof EndpointJobSchema>

export const EndpointJobCollectionSchema = Type.Object({
  ...page,
  items: Type.Array(EndpointJobSchema, { maxItems: 100 }),
})
