/**
 * The GPU classes that groups ask for, and which card is of which class. Groups name classes by
 * UUID, nodes report what nvidia-smi prints; this table is where the two meet. The UUIDs of
 * SaladCloud's classes are kept, so that a client with one in its configuration need not change it.
 */
export type GpuClass = Readonly<{
  id: string
  /** As listed to tenants. */
  name: string
  /** What nvidia-smi's product name must hold, after `NVIDIA` and `GeForce`. */
  product: string
  vramGib: number
}>

const rows = [
  ['851399fb-7329-4195-a042-d6514b28cf33', 'RTX 5090', 32],
  ['83ef776e-ce34-4d89-8cf9-81898f1416fa', 'RTX 5090 Laptop', 24],
  ['8065b30b-4a27-434c-8610-222e8df8fad7', 'RTX 5080', 16],
  ['1b8747be-e789-475b-a339-3c1028010d84', 'RTX 5070 Ti', 16],
  ['61e8ceee-4479-40c5-9a05-1711f45f931c', 'RTX 5070', 12],
  ['5d6b104d-c029-4357-b179-8b662d0a76b2', 'RTX 5060 Ti', 16],
  ['ed563892-aacd-40f5-80b7-90c9be6c759b', 'RTX 4090', 24],
  ['0d062939-7c01-4aae-a2b1-30e315124e51', 'RTX 4080', 16],
  ['f1380143-51cd-4bad-80cb-1f86ee6b49fe', 'RTX 4070 Ti SUPER', 16],
  ['de00c90b-904b-4d9e-8fc9-1d9a08eb0932', 'RTX 4070 Ti', 12],
  ['0798d5aa-2d17-42ee-81b8-ea92e3bc088e', 'RTX 4070', 12],
  ['2b73eef8-be49-4667-8fc0-5c0cb127cfe0', 'RTX 4060 Ti', 16],
  ['9998fe42-04a5-4807-b3a5-849943f16c38', 'RTX 3090 Ti', 24],
  ['a5db5c50-cbcb-4596-ae80-6a0c8090d80f', 'RTX 3090', 24],
  ['65247de0-746f-45c6-8537-650ba613966a', 'RTX 3080 Ti', 12],
  ['43a49c0c-f860-40e9-a509-702d0dba0902', 'RTX 3080', 10],
  ['d9fb0bd6-05c9-4cb9-b98e-9f7d1b5ba0e7', 'RTX 3070 Ti', 8],
  ['951131f6-5acf-489c-b303-0906be8b26ef', 'RTX 3070', 8],
  ['cb6c1931-89b6-4f76-976f-54047320ccc6', 'RTX 3060 Ti', 8],
  ['f51baccc-dc95-40fb-a5d1-6d0ee0db31d2', 'RTX 3060', 12],
  ['99305b63-f7cf-4b8d-ae33-2d6b6ff0b085', 'RTX 3050', 8],
  ['3eae6ce4-aa14-4c7d-b502-131730c9af48', 'RTX 2060', 6],
  ['6b17a5e7-9a6a-4f1c-9782-243277f4fa00', 'GTX 1070', 8],
  ['6d4e9e99-d27e-4751-8d7d-393f7d8ea949', 'RTX A5000', 24],
  // Potluck's own from here on.
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a01', 'RTX A6000', 48],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a02', 'L4', 24],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a03', 'L40S', 48],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a04', 'A100', 40],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a05', 'A100', 80],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a06', 'H100', 80],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a07', 'H200', 141],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a08', 'RTX 4060', 8],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a09', 'RTX 4080 SUPER', 16],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a0a', 'RTX 4070 SUPER', 12],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a0b', 'RTX 2080 Ti', 11],
  ['8d1f1c1e-6a0b-4c53-9a51-5b1e6d3f0a0c', 'Tesla T4', 16],
] as const

export const gpuClasses: readonly GpuClass[] = rows.map(([id, product, vramGib]) => ({
  id,
  name: `${product} (${vramGib} GB)`,
  product,
  vramGib,
}))

const byId = new Map(gpuClasses.map((item) => [item.id, item]))

export function gpuClassById(id: string): GpuClass | undefined {
  return byId.get(id.toLowerCase())
}

/** Words after a product's own that make no other class: memory, form factor, `Laptop GPU`'s end. */
const harmless = /^(gpu|pcie|sxm\d?|nvl|hbm\w*|\d+gb|generation|ada)$/

/**
 * The class of a card, or undefined when it is of none. `productName` as nvidia-smi prints it
 * (`NVIDIA GeForce RTX 4090`, `NVIDIA H100 80GB HBM3`). Of classes that differ in memory alone, the
 * largest that fits: drivers report a little less than is printed on the box, at most 10%.
 */
export function gpuClassOf(productName: string, vramBytes: number): GpuClass | undefined {
  const words = wordsOf(productName)
  const vramGib = vramBytes / 2 ** 30
  let best: GpuClass | undefined
  for (const item of gpuClasses) {
    const own = wordsOf(item.product)
    const isProduct =
      own.every((word, index) => words[index] === word) &&
      words.slice(own.length).every((word) => harmless.test(word))
    if (!isProduct || vramGib < item.vramGib * 0.9) continue
    if (!best || item.vramGib > best.vramGib) best = item
  }
  return best
}

function wordsOf(name: string): readonly string[] {
  return name
    .toLowerCase()
    .replace(/\b(nvidia|geforce)\b/g, ' ')
    .split(/[\s-]+/)
    .filter((word) => word !== '')
}
