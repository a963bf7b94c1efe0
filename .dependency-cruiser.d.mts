import type { IConfiguration } from 'dependency-cruiser'

export const LAYERS: { layer: number; folders: string[] }[]
export const STACK_LAYER: number
export const EDGE_LAYER: number
export const FALLBACK: string
declare const configuration: IConfiguration
export default configuration
