/**
 * Finds the property names that only the inside of the library uses, so that the build may shorten
 * them: a name that no public type declares, and that no property of Node's or the language's has.
 */
import { join } from 'node:path';
import ts from 'typescript';
import { root } from './shared.mjs';

/** The modules that users import: every name that they declare stays. */
export const PUBLIC = ['index', 'converses', 'freams', 'handshakes', 'exceptions', 'enumerations', 'parts'];

/** @returns {string[]} in alphabetical order */
export function internalNames() {
  const program = createProgram();
  const checker = program.getTypeChecker();
  const lib = join(root, 'lib') + '/';
  const kept = publicDeclarations(program, checker, lib);
  const inside = new Set();
  const outside = new Set();
  for (const file of program.getSourceFiles()) {
    if (!file.fileName.startsWith(lib) || file.fileName.includes('/cli/')) continue;
    visit(file, (name, symbols) => {
      const declarations = symbols.flatMap((symbol) => symbol?.declarations ?? []);
      const ours =
        declarations.length > 0 &&
        declarations.every(
          (one) => one.getSourceFile().fileName.startsWith(lib) && !kept.has(one),
        );
      (ours ? inside : outside).add(name);
    });
  }
  return [...inside].filter((name) => !outside.has(name) && !BUILT_IN.has(name)).sort();

  /** @param {(name: string, symbols: (ts.Symbol | undefined)[]) => void} found */
  function visit(node, found) {
    const { name } = node;
    if (ts.isPropertyAccessExpression(node) && ts.isIdentifier(name)) {
      found(name.text, roots(checker.getSymbolAtLocation(name)));
    } else if (
      (ts.isPropertyDeclaration(node) ||
        ts.isPropertySignature(node) ||
        ts.isMethodDeclaration(node) ||
        ts.isMethodSignature(node) ||
        ts.isAccessor(node)) &&
      ts.isIdentifier(name)
    ) {
      found(name.text, [checker.getSymbolAtLocation(name)]);
    } else if (ts.isParameterPropertyDeclaration(node, node.parent)) {
      found(name.text, [checker.getSymbolAtLocation(name)]);
    } else if (
      (ts.isPropertyAssignment(node) || ts.isShorthandPropertyAssignment(node)) &&
      ts.isIdentifier(name)
    ) {
      found(name.text, contextual(node));
    } else if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) {
      const key = node.propertyName ?? name;
      if (ts.isIdentifier(key)) {
        const type = checker.getTypeAtLocation(node.parent);
        found(key.text, roots(type.getProperty(key.text)));
      }
    }
    ts.forEachChild(node, (child) => visit(child, found));
  }

  /** What an object literal's property will be read as. */
  function contextual(node) {
    const type = checker.getContextualType(node.parent);
    const expected = type === undefined ? [] : roots(propertyOf(type, node.name.text));
    return expected.length > 0 ? expected : [checker.getSymbolAtLocation(node.name)];
  }

  function propertyOf(type, name) {
    return (
      type.getProperty(name) ??
      (type.isUnion() ? type.types.map((one) => one.getProperty(name)).find(Boolean) : undefined)
    );
  }

  function roots(symbol) {
    return symbol === undefined ? [undefined] : checker.getRootSymbols(symbol);
  }
}

/** Names of the language's own objects, whatever type they were seen through. */
const BUILT_IN = new Set(
  [Object, Array, Function, String, Promise, Map, Set, Error, Symbol, Buffer, EventTarget]
    .flatMap((one) => [one, one.prototype])
    .flatMap((one) => Object.getOwnPropertyNames(one)),
);

/** @returns {ts.Program} */
function createProgram() {
  const config = ts.getParsedCommandLineOfConfigFile(
    join(root, 'tsconfig.esm.json'),
    {},
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined },
  );
  return ts.createProgram(config.fileNames, config.options);
}

/**
 * Every member declaration that a user can name: those of the types that the public modules export,
 * and of the types that these mention.
 */
function publicDeclarations(program, checker, lib) {
  const kept = new Set();
  const seen = new Set();
  for (const name of PUBLIC) {
    const file = program.getSourceFile(join(lib, `${name}.ts`));
    for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(file))) {
      keep(symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
    }
  }
  return kept;

  function keep(symbol) {
    if (symbol === undefined || seen.has(symbol)) return;
    seen.add(symbol);
    for (const declaration of symbol.declarations ?? []) {
      if (!declaration.getSourceFile().fileName.startsWith(lib)) continue;
      keepNode(declaration);
    }
  }

  function keepNode(node) {
    if (ts.isBlock(node) || isInternal(node)) return;
    if (ts.isTypeElement(node) || ts.isClassElement(node) || ts.isEnumMember(node)) {
      if (node.name !== undefined && ts.isPrivateIdentifier(node.name)) return;
      kept.add(node);
    }
    if (ts.isParameter(node)) kept.add(node);
    if (ts.isTypeReferenceNode(node) || ts.isExpressionWithTypeArguments(node)) {
      const name = ts.isTypeReferenceNode(node) ? node.typeName : node.expression;
      const symbol = checker.getSymbolAtLocation(name);
      keep(
        symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias
          ? checker.getAliasedSymbol(symbol)
          : symbol,
      );
    }
    ts.forEachChild(node, keepNode);
  }
}

/** Members that are public only for other modules of the library are marked @internal. */
function isInternal(node) {
  return ts.getJSDocTags(node).some((tag) => tag.tagName.text === 'internal');
}

if (process.argv[1] === new URL(import.meta.url).pathname) console.log(internalNames().join(' '));
