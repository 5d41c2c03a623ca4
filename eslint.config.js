import js from '@eslint/js';
import node from 'eslint-plugin-n';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  globalIgnores(['dist/', 'dist.*/', 'coverage/', '.cache/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'object-shorthand': 'error',
      'prefer-template': 'error',
    },
  },

  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      // What is called without its object must not need it: typed as a property, it is checked.
      '@typescript-eslint/method-signature-style': ['error', 'property'],
      // Numbers in a template print as what they are; anything else has to be asked for.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => socket.destroy()` is how a callback that gives nothing is written.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // The byte loops of the codec index typed arrays, where there is always a number.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/non-nullable-type-assertion-style': 'off',
      '@typescript-eslint/prefer-for-of': 'off',
      // Numbers from the wire are compared with the enumerations' values, and become such.
      '@typescript-eslint/no-unsafe-enum-comparison': 'off',
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      // The compiler does not see that a method changes a field, and takes looking at the state again
      // after a call, which the design asks for, to be of no use.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      // `_` marks what a signature has to have and a body does not need, as for tsc.
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_' },
      ],
      // What a caught error or an abort's reason is, nobody knows.
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingUnknown: true, allowThrowingAny: true },
      ],
      // Empty hooks are there to be overridden.
      '@typescript-eslint/no-empty-function': ['error', { allow: ['methods', 'asyncMethods'] }],
    },
  },
  {
    // The types are those of the latest Node 20; what they offer must exist in the oldest we support.
    files: ['lib/**/*.ts'],
    plugins: { n: node },
    rules: {
      // In Node 20.12 crypto.hash() is a release candidate; it is as it became.
      'n/no-unsupported-features/node-builtins': ['error', { ignores: ['crypto.hash'] }],
    },
  },
  {
    files: ['lib/*.ts'],
    rules: {
      // They are in builtins.ts, which tells why.
      'no-restricted-globals': [
        'error',
        ...['Buffer', 'performance', 'process'],
        ...['setImmediate', 'setTimeout', 'clearImmediate', 'clearTimeout'],
      ],
    },
  },
  {
    files: ['lib/cli/**', 'examples/**', 'bench/**', 'tools/**'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['__tests__/**/*.ts'],
    rules: {
      // Tests call what the types forbid, on purpose, and look at calls of methods.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/only-throw-error': 'off',
    },
  },
  {
    files: ['examples/**', 'bench/**'],
    rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: { console: 'readonly', process: 'readonly', URL: 'readonly', Buffer: 'readonly' },
    },
  },
);
