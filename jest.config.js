/** Whether what has been built is to be tested, as its users get it: `TEST_DIST=1 npx jest`. */
const ofDist = process.env['TEST_DIST'] === '1';
/** Tests that look into the sources, which are not the same classes and memory as what was built. */
const OF_SOURCES = ['advisories\\.', 'backpressure', 'chunks', 'cli', 'fuzz', 'handles', 'masks'];

/**
 * The tests run the sources, as CommonJS and without type-checking: `npm run typecheck` does that
 * for all files at once, and faster.
 *
 * @type {import('ts-jest').JestConfigWithTsJest}
 */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  testPathIgnorePatterns: ofDist ? OF_SOURCES : [],
  modulePathIgnorePatterns: [...(ofDist ? [] : ['<rootDir>/dist']), '<rootDir>/.cache'],
  moduleNameMapper: {
    '^aiowebsocket$': ofDist ? '<rootDir>/dist/cjs/index.js' : '<rootDir>/lib/index.ts',
    '^aiowebsocket/(?!package\\.json)(.+)$': '<rootDir>/lib/$1.ts',
    // Relative imports name the .js file that a .ts file becomes.
    '^(\\.{1,2}/.+)\\.js$': '$1',
  },
  transform: {
    '\\.ts$': [
      'ts-jest',
      {
        tsconfig: {
          target: 'es2022',
          lib: ['es2023', 'esnext.disposable'],
          module: 'commonjs',
          moduleResolution: 'bundler',
          esModuleInterop: true,
          isolatedModules: true,
          types: [],
        },
      },
    ],
  },
  // Generous, for busy machines: what has to be quick says so itself.
  testTimeout: 20_000,
  restoreMocks: true,
  // The tests wait for sockets and timers most of the time.
  maxWorkers: '100%',

  // Collected with --coverage, as `npm test` does.
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageDirectory: 'coverage',
  coverageReporters: ['text', 'lcov'],
  coverageThreshold: { global: { lines: 95, branches: 95 } },
};
