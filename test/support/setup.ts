import { afterEach, expect } from 'vitest'
import { takeLeakReports } from './pool.ts'

afterEach(() => {
  expect(takeLeakReports(), 'pages still in use after the test').toBe('')
})
