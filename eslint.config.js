/**
 * Only what Biome lacks: rules that need types (a promise that nobody waits for is how a daemon
 * loses an error), and docs on what protocol/ exports, because other people's peers rely on it.
 */
import jsdoc from 'eslint-plugin-jsdoc'
import tseslint from 'typescript-eslint'

const folders = ['protocol', 'node', 'coordinator', 'registry-cache', 'scripts', 'test']

export default [
  { ignores: ['**/node_modules/', '.potluck/', 'coverage/', '**/*.js', '**/*.cjs', '**/*.d.ts'] },
  {
    files: folders.map((folder) => `${folder}/**/*.ts`),
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { ts: tseslint.plugin },
    rules: {
      'ts/no-floating-promises': ['error', { ignoreVoid: true }],
      'ts/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      'ts/await-thenable': 'error',
      'ts/return-await': ['error', 'error-handling-correctness-only'],
      'ts/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
      ],
      'ts/only-throw-error': 'error',
      'ts/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      'ts/no-base-to-string': 'error',
      'ts/restrict-plus-operands': 'error',
    },
  },
  {
    files: ['protocol/**/*.ts'],
    ignores: ['**/*.test.ts', '**/*.conformance.ts', '**/*.fixture.ts'],
    plugins: { jsdoc },
    settings: { jsdoc: { mode: 'typescript' } },
    rules: {
      'jsdoc/require-jsdoc': [
        'error',
        {
          publicOnly: true,
          require: {
            FunctionDeclaration: true,
            ClassDeclaration: true,
          },
          // A function that is exported under a name; not the methods of an exported object.
          contexts: [
            'ExportNamedDeclaration > VariableDeclaration > VariableDeclarator > ArrowFunctionExpression',
          ],
          checkConstructors: false,
          checkGetters: false,
        },
      ],
      'jsdoc/require-description': [
        'error',
        { contexts: ['FunctionDeclaration', 'ClassDeclaration'] },
      ],
    },
  },
]
