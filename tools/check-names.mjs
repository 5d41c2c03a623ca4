/**
 * Holds the short names of dist/ to what names.mjs promises: no object has two properties that share
 * one. The compiler is asked at each place where a property is looked at, or an object is made or
 * taken for something else.
 */
import { basename, join } from 'node:path';
import ts from 'typescript';
import { shortNames, sourceNames } from './names.mjs';
import { conclude, root } from './shared.mjs';

const short = await shortNames();
/** @type {Set<string>} */
const complaints = new Set();

const configured = ts.getParsedCommandLineOfConfigFile(
  join(root, 'tsconfig.json'),
  {},
  {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
      throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'));
    },
  },
);
const files = sourceNames().map((name) => join(root, name));
const program = ts.createProgram(files, { ...configured?.options, noEmit: true });
const checker = program.getTypeChecker();

/**
 * @param {ts.Type} type of one object, or of one or another
 * @param {ts.Node} node where it is met
 * @param {string[]} asked a property that it may lack and is asked for all the same
 */
function check(type, node, ...asked) {
  for (const one of type.isUnion() ? type.types : [type]) {
    /** @type {Map<string, string>} */
    const owners = new Map();
    const members = checker.getPropertiesOfType(checker.getApparentType(one));
    for (const name of [...members.map((member) => member.name), ...asked]) {
      const called = Object.hasOwn(short, name) ? String(short[name]) : name;
      const other = owners.get(called) ?? name;
      owners.set(called, name);
      if (other === name) continue;
      const file = node.getSourceFile();
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      complaints.add(
        `names: ${basename(file.fileName)}:${line + 1}: ${other} and ${name} are both ${called} in ${checker.typeToString(one)}`,
      );
    }
  }
}

/** @param {ts.Node} node */
function visit(node) {
  if (ts.isPropertyAccessExpression(node)) {
    const { text } = node.name;
    const type = checker.getTypeAtLocation(node.expression);
    // What may be undefined is asked for nothing.
    const object = checker.getNonNullableType(type);
    check(object, node, ...(Object.hasOwn(short, text) ? [text] : []));
  } else if (ts.isObjectLiteralExpression(node)) {
    check(checker.getTypeAtLocation(node), node);
    const wanted = checker.getContextualType(node);
    if (wanted) check(wanted, node);
  } else if (ts.isAsExpression(node)) {
    check(checker.getTypeAtLocation(node.expression), node);
    check(checker.getTypeAtLocation(node), node);
  } else if (
    ts.isObjectBindingPattern(node) ||
    ts.isClassLike(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node)
  ) {
    check(checker.getTypeAtLocation(node), node);
  }
  ts.forEachChild(node, visit);
}

for (const file of files) visit(/** @type {ts.SourceFile} */ (program.getSourceFile(file)));
const shared = Object.keys(short).length - new Set(Object.values(short)).size;
conclude(
  `names: ${shared} of ${Object.keys(short).length} properties share a short name, of no object two`,
  [...complaints],
);
