import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const clockMessage = 'Time comes in through the Clock port (in the domain: as an argument).';
const idsMessage = 'Identities and randomness come in through the Ids port (in the domain: as an argument).';
const environmentMessage = 'Only src/apps/config.ts reads the environment; take the parsed setting instead.';

const timers = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'];

const noAmbientTimeOrChance = {
  'no-restricted-globals': [
    'error',
    ...timers.map((name) => ({ name, message: clockMessage })),
    { name: 'performance', message: clockMessage },
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: clockMessage },
    ...timers.map((property) => ({ object: 'globalThis', property, message: clockMessage })),
    { object: 'Math', property: 'random', message: idsMessage },
    { object: 'crypto', property: 'randomUUID', message: idsMessage },
    { object: 'crypto', property: 'getRandomValues', message: idsMessage },
    { object: 'process', property: 'env', message: environmentMessage },
    { object: 'process', property: 'hrtime', message: clockMessage },
    { object: 'AbortSignal', property: 'timeout', message: clockMessage },
  ],
  'no-restricted-imports': [
    'error',
    { paths: [{ name: 'node:crypto', importNames: ['randomUUID', 'randomBytes', 'randomInt'], message: idsMessage }] },
  ],
  'no-restricted-syntax': [
    'error',
    { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: clockMessage },
    { selector: "CallExpression[callee.name='Date']", message: clockMessage },
    { selector: 'TSEnumDeclaration', message: 'Use a union of strings.' },
  ],
};

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', '.tools/', '.cache/', 'coverage/', 'dashboard/', '**/*.d.ts'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },

  {
    name: 'every TypeScript file',
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-import-type-side-effects': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true }],
    },
  },
  {
    name: 'short functions, one place for the environment',
    files: ['src/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.contract.ts'],
    rules: {
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'no-restricted-properties': ['error', { object: 'process', property: 'env', message: environmentMessage }],
    },
  },
  {
    name: 'the environment is read here',
    files: ['src/apps/config.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    name: 'the core takes time, identities and chance from outside',
    files: ['src/{domain,task-definition,task-api,event-producer,dispatch,worker,diary,audit}/**/*.ts'],
    ignores: ['**/*.test.ts'],
    rules: noAmbientTimeOrChance,
  },
  {
    name: 'the command line prints',
    files: ['src/cli/**/*.ts', 'test/**/*.ts', 'examples/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    name: 'scripts',
    files: ['**/*.mjs'],
    languageOptions: { ecmaVersion: 'latest', sourceType: 'module' },
    rules: { eqeqeq: ['error', 'always', { null: 'ignore' }], 'no-unused-vars': 'error', 'no-var': 'error', 'prefer-const': 'error' },
  },
);
