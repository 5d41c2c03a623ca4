/**
 * Function declarations become arrow functions: bundlers, which shorten all else, leave them as they
 * are, and they are many.
 */
import { transform } from 'esbuild';
import ts from 'typescript';

/**
 * @param {string} code a module that esbuild has made, which calls none of them while it is loaded,
 *   before it gets to it
 * @returns {Promise<string>}
 */
export async function useArrows(code) {
  const { statements } = ts.createSourceFile('index.js', code, ts.ScriptTarget.Latest, true);
  const pieces = statements.map((one) => (isPlain(one) ? arrowOf(one) : one.getFullText()));
  const settings = { minifySyntax: true, minifyWhitespace: true, target: 'node20.12' };
  const short = await transform(pieces.join('\n'), settings);
  // It does nothing, and tells Node what a CommonJS module exports: taken for dead code otherwise.
  const [names = ''] = /\b0&&\(module\.exports=\{[^}]*\}\);/.exec(code) ?? [];
  return short.code + names;
}

/**
 * Whether an arrow function does the same.
 *
 * @param {ts.Statement} statement
 * @returns {statement is ts.FunctionDeclaration & { name: ts.Identifier, body: ts.Block }}
 */
function isPlain(statement) {
  return (
    ts.isFunctionDeclaration(statement) &&
    !statement.asteriskToken &&
    (statement.modifiers ?? []).every(({ kind }) => kind === ts.SyntaxKind.AsyncKeyword) &&
    !hasOwnScope(statement)
  );
}

/**
 * @param {ts.Node} node
 * @returns {boolean} whether it speaks of `this`, `arguments` or `new.target`
 */
function hasOwnScope(node) {
  if (node.kind === ts.SyntaxKind.ThisKeyword || ts.isMetaProperty(node)) return true;
  if (ts.isIdentifier(node) && node.text === 'arguments') return true;
  return ts.forEachChild(node, hasOwnScope) ?? false;
}

/** @param {ts.FunctionDeclaration & { name: ts.Identifier, body: ts.Block }} declaration */
function arrowOf({ name, parameters, body, modifiers }) {
  const list = parameters.map((parameter) => parameter.getText()).join(',');
  return `var ${name.text}=${modifiers ? 'async' : ''}(${list})=>${body.getText()};`;
}
