/**
 * Short names for the properties that begin with `_`, which nobody but the package sees. esbuild
 * gives each one a name of its own, and there are more than there are letters; here those share a
 * name that no object has both of. check-names.mjs asks the compiler whether that is so.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import ts from 'typescript';
import { root } from './shared.mjs';

/** Properties that get short names, */
export const SHORT = /^_[a-zA-Z]/;
/** but for those of Node's own that are looked at, or replaced. */
export const NODE_PROPERTIES = /^_(handle|parent|write|writev|writeState|unrefTimer)$/;

/** @param {string} name */
export const isShort = (name) => SHORT.test(name) && !NODE_PROPERTIES.test(name);

/** What is compiled. */
export function sourceNames() {
  return readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('lib', name));
}

/** @returns {Promise<Record<string, string>>} what esbuild takes as `mangleCache` */
export async function shortNames() {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['lib/index.ts'],
    bundle: true,
    platform: 'node',
    target: 'node20.12',
    external: ['eventemitter3'],
    format: 'esm',
    write: false,
  });
  const sources = sourceNames().map((name) => readFileSync(join(root, name), 'utf8'));
  return choose(sources, outputFiles[0]?.text ?? '');
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ$_';

/**
 * @param {readonly string[]} sources all that is compiled, in TypeScript
 * @param {string} code the same as esbuild joins it, by which the more frequent ones get the shorter
 *   names
 * @returns {Record<string, string>}
 */
function choose(sources, code) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const [name] of code.matchAll(/[\w$]+/g)) {
    if (isShort(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const together = meetings(sources);
  const taken = new Set(Array.from(code.matchAll(/\.([\w$]+)|([\w$]+):/g), ([, a, b]) => a ?? b));
  const free = namesUpTo(counts.size + taken.size).filter((name) => !taken.has(name));
  /** @type {[short: string, sharers: string[]][]} */
  const sharing = free.map((short) => [short, []]);
  for (const [name] of [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))) {
    const meets = together.get(name);
    const found = sharing.find(
      ([, sharers]) =>
        sharers.length === 0 ||
        (meets && sharers.every((one) => together.has(one) && !meets.has(one))),
    );
    found?.[1].push(name);
  }
  return Object.fromEntries(
    sharing.flatMap(([short, sharers]) => sharers.map((name) => [name, short])),
  );
}

/**
 * Which properties an object may have beside each one: those of a class and of what it extends, of
 * an interface or type, and of an object literal, go together. Left out are those that are optional
 * or declared nowhere: they may be asked for on any object, to which they then must be unknown.
 *
 * @param {readonly string[]} sources
 * @returns {Map<string, Set<string>>}
 */
function meetings(sources) {
  /** @type {Map<string, Set<string>>} */
  const members = new Map();
  /** @type {Map<string, string[]>} */
  const bases = new Map();
  /** @type {Set<string>} */
  const optional = new Set();
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isClassLike(node) || ts.isInterfaceDeclaration(node)) {
      const name = node.name?.text ?? '';
      const types = (node.heritageClauses ?? []).flatMap((clause) => clause.types);
      bases.set(
        name,
        types.map((type) => type.expression.getText()),
      );
      add(name, node.members);
    } else if (ts.isTypeLiteralNode(node)) add(`type ${members.size}`, node.members);
    else if (ts.isObjectLiteralExpression(node)) add(`object ${members.size}`, node.properties);
    ts.forEachChild(node, visit);
  };
  /**
   * @param {string} owner
   * @param {readonly (ts.ClassElement | ts.TypeElement | ts.ObjectLiteralElementLike)[]} nodes
   */
  const add = (owner, nodes) => {
    const names = members.get(owner) ?? new Set();
    members.set(owner, names);
    for (const node of nodes) {
      const name = node.name && ts.isIdentifier(node.name) ? node.name.text : '';
      names.add(name);
      if ('questionToken' in node && node.questionToken) optional.add(name);
    }
  };
  for (const text of sources) {
    visit(ts.createSourceFile('lib.ts', text, ts.ScriptTarget.Latest, true));
  }
  /**
   * @param {string} owner
   * @returns {string[]}
   */
  const all = (owner) => [...(members.get(owner) ?? []), ...(bases.get(owner) ?? []).flatMap(all)];
  /** @type {Map<string, Set<string>>} */
  const together = new Map();
  for (const owner of members.keys()) {
    const names = all(owner);
    for (const name of names)
      together.set(name, new Set([...(together.get(name) ?? []), ...names]));
  }
  for (const name of optional) together.delete(name);
  return together;
}

/**
 * @param {number} count
 * @returns {string[]} the shortest names there are
 */
function namesUpTo(count) {
  const names = [...LETTERS];
  for (let at = 0; names.length < count; at++) {
    for (const letter of LETTERS) names.push(`${names[at]}${letter}`);
  }
  return names;
}
