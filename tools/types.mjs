/**
 * Declarations without what is nobody else's business: tsc declares all that a file exports, also
 * what only other files of the package use.
 */
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/**
 * Leaves only the types that the public ones refer to, and what is imported for them.
 *
 * @param {string} folder
 * @param {readonly string[]} files that are public
 */
export function pruneTypes(folder, files) {
  const declarations = reader(folder);
  /** @type {Map<string, Set<string>>} the names that are wanted of each file */
  const wantedOf = new Map();
  /**
   * @param {string} file
   * @param {string} name
   */
  const want = (file, name) => {
    const names = wantedOf.get(file) ?? new Set();
    wantedOf.set(file, names);
    if (names.has(name)) return;
    names.add(name);
    const found = declarations(file);
    for (const statement of found.get(name) ?? []) {
      if (ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement)) {
        const from = sourceOf(statement);
        if (from) want(from, originalOf(statement, name));
      } else for (const one of identifiers(statement)) if (found.has(one)) want(file, one);
    }
  };
  for (const file of files) {
    for (const [name, [one]] of declarations(file)) {
      if (one && !ts.isImportDeclaration(one)) want(file, name);
    }
  }
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.d.ts'))) {
    const file = name.replace('.d.ts', '');
    const wanted = wantedOf.get(file);
    if (!wanted) rmSync(join(folder, name));
    else writeFileSync(join(folder, name), prunedText([...declarations(file).entries()], wanted));
  }
}

/**
 * @param {string} folder
 * @returns {(file: string) => Map<string, ts.Statement[]>} gives what a file of it declares, by name
 */
function reader(folder) {
  /** @type {Map<string, Map<string, ts.Statement[]>>} */
  const known = new Map();
  return (file) => {
    const found = known.get(file) ?? new Map();
    if (known.has(file)) return found;
    known.set(file, found);
    const text = readFileSync(join(folder, `${file}.d.ts`), 'utf8');
    const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    for (const one of statements) {
      for (const name of namesOf(one)) found.set(name, [...(found.get(name) ?? []), one]);
    }
    return found;
  };
}

/**
 * @param {[name: string, ts.Statement[]][]} found
 * @param {Set<string>} wanted
 */
function prunedText(found, wanted) {
  const kept = new Set(found.flatMap(([name, all]) => (wanted.has(name) ? all : [])));
  return [...kept]
    .sort((a, b) => a.pos - b.pos)
    .map((one) => {
      const list = listOf(one);
      if (!list) return one.getFullText().trimStart();
      const unwanted = list.elements.filter(({ name }) => !wanted.has(name.text));
      // From the end on, each with its comma.
      return unwanted.reduceRight((text, { pos, end }) => {
        const from = pos - one.getStart();
        const to = end - one.getStart();
        return text.slice(0, from) + text.slice(to).replace(/^,/, '');
      }, one.getText());
    })
    .join('\n')
    .concat('\n');
}

/**
 * @param {ts.Statement} statement
 * @returns the list of names that it imports or exports, if it has one
 */
function listOf(statement) {
  const clause = ts.isImportDeclaration(statement)
    ? statement.importClause?.namedBindings
    : ts.isExportDeclaration(statement) && statement.exportClause;
  return clause && 'elements' in clause ? clause : undefined;
}

/**
 * @param {ts.Statement} statement
 * @returns {string[]} the names that it declares, imports or exports
 */
function namesOf(statement) {
  const list = listOf(statement);
  if (list) return list.elements.map(({ name }) => name.text);
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => name.getText());
  }
  const named = ts.isImportDeclaration(statement)
    ? statement.importClause?.namedBindings
    : statement;
  const { name } = /** @type {ts.DeclarationStatement | ts.NamespaceImport} */ (named);
  if (name) return [name.text];
  // All of another file.
  return ts.isExportDeclaration(statement) ? [statement.getText()] : [];
}

/**
 * @param {ts.ImportDeclaration | ts.ExportDeclaration} statement
 * @returns the file of ours that it is about
 */
function sourceOf({ moduleSpecifier }) {
  return /^'\.\/([\w-]+)\.js'$/.exec(moduleSpecifier?.getText() ?? '')?.[1];
}

/**
 * @param {ts.ImportDeclaration | ts.ExportDeclaration} statement
 * @param {string} name
 * @returns what it is called there
 */
function originalOf(statement, name) {
  const element = listOf(statement)?.elements.find((one) => one.name.text === name);
  return element?.propertyName?.text ?? name;
}

/**
 * @param {ts.Node} node
 * @returns {string[]}
 */
function identifiers(node) {
  /** @type {string[]} */
  const found = ts.isIdentifier(node) ? [node.text] : [];
  ts.forEachChild(node, (child) => {
    found.push(...identifiers(child));
  });
  return found;
}
