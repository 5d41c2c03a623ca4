/** Holds the imports of lib/ to the layers of the design: everything points one way. */
import { readFileSync, readdirSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, posix, sep } from 'node:path';
import ts from 'typescript';

const lib = join(__dirname, '..', 'lib');

/** From the bottom up: a layer imports those before it. Those in one row do not import each other. */
const LAYERS = [
  ['enumerations'],
  ['exceptions'],
  ['parts'],
  ['freams', 'extensions', 'handshakes', 'transports'],
  ['converses'],
  ['reconnects'],
  ['index'],
  ['cli'],
] as const;

type Layer = (typeof LAYERS)[number][number];

/** Which layer a file belongs to; a name that ends in a slash stands for all files of a folder. */
const FILES: Readonly<Record<string, Layer>> = {
  enumerations: 'enumerations',

  exceptions: 'exceptions',

  parts: 'parts',
  options: 'parts',
  queues: 'parts',
  symbols: 'parts',
  negotiations: 'parts',
  values: 'parts',
  timers: 'parts',
  taps: 'parts',

  freams: 'freams',
  assemblies: 'freams',
  masks: 'freams',
  random: 'parts',
  wasm: 'parts',
  builtins: 'parts',
  'wasm-code': 'parts',
  outputs: 'freams',
  utf8: 'freams',
  chunks: 'freams',

  extensions: 'extensions',

  handshakes: 'handshakes',
  bodies: 'handshakes',
  requests: 'handshakes',
  responses: 'handshakes',

  handles: 'transports',
  transports: 'transports',
  'transports/': 'transports',

  converses: 'converses',
  alives: 'converses',
  closings: 'converses',
  compressors: 'converses',
  cores: 'converses',
  emitters: 'converses',
  flows: 'converses',
  inboxes: 'converses',
  iterators: 'converses',
  connections: 'converses',
  manipulators: 'converses',
  openings: 'converses',
  outboxes: 'converses',
  pieces: 'converses',
  sends: 'converses',

  reconnects: 'reconnects',

  index: 'index',

  'cli/': 'cli',
};

/** The only package lib/ may import. */
const DEPENDENCIES = ['eventemitter3'];

const files = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.split(sep).join('/').replace(/\.ts$/, ''))
  .sort();

const imports = new Map(files.map((file) => [file, readImports(file)]));

test.each(files)('lib/%s.ts has a layer', (file) => {
  if (layerOf(file) === undefined) {
    throw new Error(`add '${file}' to FILES in __tests__/layers.test.ts, with its layer`);
  }
});

test.each(files)('lib/%s.ts imports only what lies below it', (file) => {
  const wrong = relativeImports(file).filter((target) => !mayImport(file, target));

  expect(wrong.map((target) => `${describeFile(file)} imports ${describeFile(target)}`)).toEqual(
    [],
  );
});

test.each(files)('lib/%s.ts imports only files of lib, Node and eventemitter3', (file) => {
  const wrong = (imports.get(file) ?? []).filter(
    (specifier) =>
      !isRelative(specifier) && !isBuiltin(specifier) && !DEPENDENCIES.includes(specifier),
  );

  expect(wrong).toEqual([]);
});

test('no files import each other in a circle', () => {
  expect(findCycle()).toBeUndefined();
});

test('the command imports only the public names', () => {
  const others = files
    .filter((file) => file.startsWith('cli/'))
    .flatMap((file) => relativeImports(file))
    .filter((target) => target !== 'index' && !target.startsWith('cli/'));

  expect(others).toEqual([]);
});

/** Every module a file names, type-only imports and `import()` included. */
function readImports(file: string): string[] {
  const name = join(lib, `${file}.ts`);
  const source = ts.createSourceFile(
    name,
    readFileSync(name, 'utf8'),
    ts.ScriptTarget.ES2022,
    true,
  );
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const specifier = specifierOf(node);
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) found.push(specifier.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isImportTypeNode(node))
    return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node;
  if (!ts.isCallExpression(node)) return undefined;
  const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword;
  const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require';
  return isImport || isRequire ? node.arguments[0] : undefined;
}

function relativeImports(file: string): string[] {
  const folder = posix.dirname(file);
  return (imports.get(file) ?? [])
    .filter(isRelative)
    .map((specifier) => posix.join(folder, specifier).replace(/\.js$/, ''));
}

function mayImport(file: string, target: string): boolean {
  const [from, to] = [layerOf(file), layerOf(target)];
  if (from === undefined || to === undefined) return false;
  return from === to || rankOf(to) < rankOf(from);
}

function layerOf(file: string): Layer | undefined {
  return FILES[file] ?? FILES[`${file.split('/')[0] ?? ''}/`];
}

function rankOf(layer: Layer): number {
  return LAYERS.findIndex((row) => (row as readonly Layer[]).includes(layer));
}

function describeFile(file: string): string {
  return `${file} (${layerOf(file) ?? 'no such file in the table'})`;
}

/** A circle of imports as `a → b → a`, if there is one. */
function findCycle(): string | undefined {
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): string | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file].join(' → ');
    if (done.has(file)) return undefined;
    for (const target of relativeImports(file)) {
      const cycle = walk(target, [...path, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of files) {
    const cycle = walk(file, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith('.');
}

function isBuiltin(specifier: string): boolean {
  return specifier.startsWith('node:') && builtinModules.includes(specifier.slice('node:'.length));
}
