/**
 * What bundlers leave as it is, though it has a shorter form, gets it here: function declarations
 * become arrow functions, numbers take the place of their names, methods that often say `this` say
 * it once, what is thrown is handed to a function, so that it can stand in an expression, promises
 * are made by one, what is set to undefined, or compared with it, meets a variable, and so do
 * strings that occur often.
 */
import { transform } from 'esbuild';
import ts from 'typescript';

/** What `this` is called in a method, what throws, what is undefined, strings: names of nothing else. */
const SELF = 'self$';
const THROW = 'throw$';
const NOTHING = 'nothing$';
/** What makes a promise, or calls a method, where that is not done for each message. */
const PROMISE = 'promise$';
const METHOD = 'method$';
const TEXT = 'text$';
/** What is called often, and needs no `this`; esbuild may say what it is imported from. */
const CALLED_OFTEN =
  /^(import_\w+\.)?(Buffer|JSON|Math|Number|Object|Promise)\.(from|concat|allocUnsafe|allocUnsafeSlow|stringify|min|max|isInteger|assign|entries|keys|getPrototypeOf|resolve|reject)$/;
/** Throws of what one function makes from which on a function that throws it pays for itself. */
const THROWN_OFTEN = 12;
/** Methods to which it is all the same whether an argument is left out, and what they may be given. */
const METHODS = {
  ...{ subarray: 'a,b', slice: 'a,b', toString: 'a,b,c', test: 'a', push: 'a' },
  ...{ resume: '', destroy: 'a', toLowerCase: '', split: 'a,b', includes: 'a' },
};
/** What runs for each message or frame. */
const RUN_OFTEN =
  /^(Frames|Assembly|PullQueue|Fifo|SendQueue|Core|pullIterator|messageReceived|show\w*|receive|poll|pull|send|settleFrame|drained|writeFrame|bytesOf|decodeUtf8|writeToHandle|\w+FromChunk)\d*$/;
/** Characters of a line, about: Node shows the one that throws, with every error that nobody catches. */
const LINE = 120;
/** Characters that a bundler makes of a name. */
const SHORT_NAME = 2;
/** Bytes that a variable for a string has to save. */
const WORTH = 8;
/** Mentions of `this` from which on the variable pays for itself, and those without a `let` to join. */
const OFTEN = 3;
const OFTEN_ALONE = 4;

/**
 * @param {string} code a module that esbuild has made, which calls no function of its own while it
 *   is loaded, before it gets to it
 * @returns {Promise<string>}
 */
export async function shorten(code) {
  for (const name of [SELF, THROW, NOTHING, PROMISE, METHOD, TEXT]) {
    if (code.includes(name)) throw new Error(`${name} is taken`);
  }
  const whole = parse(code);
  const source = parse(edited(code, putNumbers(whole)));
  const throwers = oftenThrown(source);
  const methods = oftenCalled(source);
  /** @type {Map<string, string>} */
  const called = new Map();
  const { edits, texts } = shareTexts(source);
  const { statements } = parse(
    edited(source.text, [
      ...shareThis(source),
      ...edits,
      ...shortenWords(source, throwers, methods, called),
    ]),
  );
  const pieces = statements.map((one) => (isPlain(one) ? arrowOf(one) : one.getFullText()));
  const helpers = [
    `var ${NOTHING},${THROW}=(error)=>{throw error},${PROMISE}=(start)=>new Promise(start);`,
    ...methods.map((name) => {
      const given = METHODS[name];
      return `var ${METHOD}${name}=(owner${given && `,${given}`})=>owner.${name}(${given});`;
    }),
    ...texts.map((text, i) => `var ${TEXT}${i}=${text};`),
    ...throwers.map((make) => `var ${THROW}${make}=(...rest)=>${THROW}(${make}(...rest));`),
    // What is imported may not be there yet, and promises need their `this`.
    ...[...called].map(([name, it]) =>
      /^[BP]/.test(name) ? `var ${name}=(...rest)=>${it}(...rest);` : `var ${name}=${it};`,
    ),
  ].join('');
  // A directive stays in front.
  pieces.splice(/^["']/.test(pieces[0]) ? 1 : 0, 0, helpers);
  const short = await transform(pieces.join('\n'), {
    minifySyntax: true,
    minifyWhitespace: true,
    treeShaking: true,
    target: 'node20.12',
  });
  // It does nothing, and tells Node what a CommonJS module exports: taken for dead code otherwise.
  const [names = ''] = /\b0&&\(module\.exports=\{[^}]*\}\);/.exec(code) ?? [];
  return edited(short.code, lineEnds(parse(short.code))) + names;
}

/**
 * Ends lines where nothing changes by it: behind commas, semicolons and braces. esbuild would do so
 * within literals, too, which then are not what they were once a bundler has indented their second
 * line; one that is a variable's value is put together of several instead.
 *
 * @param {ts.SourceFile} source
 */
function lineEnds(source) {
  /** @type {Edit[]} */
  const edits = [];
  let from = 0;
  /** @param {ts.Node} node */
  const visit = (node) => {
    const end = node.getEnd();
    const text = node.getChildCount() > 0 ? '' : node.getText();
    const isValue = ts.isStringLiteral(node) && ts.isVariableDeclaration(node.parent);
    if (isValue && !text.includes('\\')) {
      for (let at = node.getStart() + LINE; at < end - 1; at += LINE) {
        edits.push([at, at, `${text[0]}+\n${text[0]}`]);
        from = at;
      }
    } else if (/^[,;{]$/.test(text) && end - from > LINE) {
      edits.push([end, end, '\n']);
      from = end;
    }
    for (const child of node.getChildren()) visit(child);
  };
  visit(source);
  return edits;
}

/** @param {string} code */
function parse(code) {
  return ts.createSourceFile('index.js', code, ts.ScriptTarget.Latest, true);
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

/** @typedef {[from: number, to: number, text: string]} Edit */

/**
 * Puts numbers that have a name, and keep it, where the name is used: a bundler that has to leave
 * variables as they are does not.
 *
 * @param {ts.SourceFile} source
 */
function putNumbers(source) {
  /** @type {Map<string, { declaration: ts.VariableDeclaration, uses: ts.Identifier[] }>} */
  const numbers = new Map();
  const variables = source.statements.filter(ts.isVariableStatement);
  for (const declaration of variables.flatMap((one) => one.declarationList.declarations)) {
    if (declaration.initializer && ts.isNumericLiteral(declaration.initializer)) {
      numbers.set(declaration.name.getText(), { declaration, uses: [] });
    }
  }
  /** @type {Set<string>} */
  const others = new Set();
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isIdentifier(node) && numbers.get(node.text)?.declaration.name !== node) {
      if (isRead(node)) numbers.get(node.text)?.uses.push(node);
      else if (!isProperty(node)) others.add(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  /** @type {Edit[]} */
  const edits = [];
  for (const [name, { declaration, uses }] of numbers) {
    const value = declaration.initializer?.getText() ?? '';
    const named = `,=${value}`.length + SHORT_NAME * (uses.length + 1);
    if (others.has(name) || uses.length * value.length > named) continue;
    for (const one of uses) edits.push([one.getStart(), one.getEnd(), value]);
  }
  return edits;
}

/**
 * @param {ts.Identifier} name
 * @returns whether it stands for its value, which nothing changes there
 */
function isRead(name) {
  const { parent } = name;
  if (isProperty(name) || ts.isShorthandPropertyAssignment(parent)) return false;
  if (ts.isPrefixUnaryExpression(parent) || ts.isPostfixUnaryExpression(parent)) {
    return !/^(\+\+|--)|(\+\+|--)$/.test(parent.getText());
  }
  if (ts.isBinaryExpression(parent) && parent.left === name) {
    return !/^(?![=!<>]=).*=$/.test(operatorOf(parent));
  }
  return ts.isExpression(name) && !('name' in parent && parent.name === name);
}

/** @param {ts.Identifier} name */
function isProperty(name) {
  const { parent } = name;
  return (
    (ts.isPropertyAccessExpression(parent) && parent.name === name) ||
    (ts.isPropertyAssignment(parent) && parent.name === name) ||
    (ts.isBindingElement(parent) && parent.propertyName === name)
  );
}

/**
 * Puts `this` into a variable where a method mentions it often.
 *
 * @param {ts.SourceFile} source
 */
function shareThis(source) {
  /** @type {Edit[]} */
  const edits = [];
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (hasOwnThis(node) && ts.isBlock(node.body)) {
      const mentions = mentionsOf(node.body);
      const [first] = node.body.statements;
      const joins =
        first && ts.isVariableStatement(first) && first.declarationList.flags & ts.NodeFlags.Let;
      if (mentions.length >= (joins ? OFTEN : OFTEN_ALONE)) {
        const begin = node.body.getStart() + 1;
        edits.push([begin, begin, `let ${SELF}=this;`]);
        for (const one of mentions) edits.push([one.getStart(), one.getEnd(), SELF]);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return edits;
}

/**
 * Puts variables in the place of strings that occur often, where that is not done for each message.
 *
 * @param {ts.SourceFile} source
 */
function shareTexts(source) {
  /** @type {Map<string, ts.Node[]>} */
  const uses = new Map();
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isStringLiteral(node) && isValue(node) && !RUN_OFTEN.test(outermostName(node))) {
      uses.set(node.getText(), [...(uses.get(node.getText()) ?? []), node]);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  const shared = [...uses].filter(([{ length }, { length: times }]) => {
    const named = `,=`.length + length + SHORT_NAME * (times + 1);
    return times * length - named >= WORTH;
  });
  const edits = shared.flatMap(([, nodes], i) =>
    nodes.map((node) => /** @type {Edit} */ ([node.getStart(), node.getEnd(), `${TEXT}${i}`])),
  );
  return { edits, texts: shared.map(([text]) => text) };
}

/**
 * @param {ts.StringLiteral} text
 * @returns whether a variable may stand in its place: V8 knows what `typeof` is compared with, and
 *   bundlers the names within an enumeration
 */
function isValue(text) {
  const { parent } = text;
  if (ts.isBinaryExpression(parent)) {
    return !ts.isTypeOfExpression(parent.left) && !ts.isElementAccessExpression(parent.left);
  }
  const isName = 'name' in parent && parent.name === text;
  return !isName && !('moduleSpecifier' in parent) && !ts.isExpressionStatement(parent);
}

/**
 * @param {ts.SourceFile} source
 * @returns the names of functions whose results are often thrown
 */
function oftenThrown(source) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  /** @param {ts.Node} node */
  const visit = (node) => {
    const made = madeAndThrown(node);
    if (made) counts.set(made.text, (counts.get(made.text) ?? 0) + 1);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return [...counts].filter(([, count]) => count >= THROWN_OFTEN).map(([name]) => name);
}

/**
 * @param {ts.Node} node
 * @returns what makes that which is thrown, where that is a function of the module
 */
function madeAndThrown(node) {
  if (!ts.isThrowStatement(node) || !ts.isCallExpression(node.expression)) return undefined;
  const { expression: callee } = node.expression;
  return ts.isIdentifier(callee) ? callee : undefined;
}

/**
 * @param {ts.SourceFile} source
 * @param {readonly string[]} throwers
 * @param {readonly string[]} methods
 * @param {Map<string, string>} called gets the names of functions that stand for others
 */
function shortenWords(source, throwers, methods, called) {
  /** @type {Edit[]} */
  const edits = [];
  /** @param {ts.Node} node */
  const visit = (node) => {
    const made = madeAndThrown(node);
    if (made && throwers.includes(made.text)) {
      edits.push([node.getStart(), made.getStart(), THROW]);
    } else if (ts.isThrowStatement(node)) {
      const { expression } = node;
      // It may be several, of which the last is thrown.
      edits.push([node.getStart(), expression.getStart(), `${THROW}((`]);
      edits.push([expression.getEnd(), expression.getEnd(), '))']);
    } else if (ts.isCallExpression(node)) {
      const { expression: callee } = node;
      const [text, , owner, method] = CALLED_OFTEN.exec(callee.getText()) ?? [];
      if (text && !(owner === 'Promise' && RUN_OFTEN.test(outermostName(node)))) {
        called.set(`${owner}$${method}`, text);
        edits.push([callee.getStart(), callee.getEnd(), `${owner}$${method}`]);
      }
      const name = methodOf(node);
      if (name && methods.includes(name)) {
        edits.push([node.getStart(), node.getStart(), `${METHOD}${name}(`]);
        const comma = node.arguments.length > 0 ? ',' : '';
        edits.push([callee.expression.getEnd(), node.arguments.pos, comma]);
      }
    } else if (ts.isNewExpression(node) && isPromise(node)) {
      edits.push([node.getStart(), node.expression.getEnd(), PROMISE]);
    } else if (ts.isVoidExpression(node) && !isComparedOften(node)) {
      edits.push([node.getStart(), node.getEnd(), NOTHING]);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return edits;
}

/**
 * V8 compares with what it knows to be undefined, faster than with a variable that is: that counts
 * where it is done for each message.
 *
 * @param {ts.VoidExpression} node
 */
function isComparedOften(node) {
  return (
    !ts.isNumericLiteral(node.expression) ||
    (/^[!=]==$/.test(operatorOf(node.parent)) && RUN_OFTEN.test(outermostName(node)))
  );
}

/**
 * @param {ts.SourceFile} source
 * @returns the methods that are called so often that a function that does so pays for itself
 */
function oftenCalled(source) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  /** @param {ts.Node} node */
  const visit = (node) => {
    const name = methodOf(node);
    if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return /** @type {(keyof typeof METHODS)[]} */ (Object.keys(METHODS)).filter((name) => {
    const { length } = name;
    const named = `,=(o,)=>o.()`.length + SHORT_NAME + length + METHODS[name].length * 2;
    // `.name` goes, a name and a comma come.
    return (counts.get(name) ?? 0) * (length - SHORT_NAME) - named >= WORTH;
  });
}

/**
 * @param {ts.Node} node
 * @returns {keyof typeof METHODS | undefined} the method that it calls, where a function may do so
 */
function methodOf(node) {
  if (!ts.isCallExpression(node) || RUN_OFTEN.test(outermostName(node))) return undefined;
  const { expression: callee, arguments: given } = node;
  if (!ts.isPropertyAccessExpression(callee) || ts.isOptionalChain(callee)) return undefined;
  const name = /** @type {keyof typeof METHODS} */ (callee.name.text);
  const isSuper = callee.expression.kind === ts.SyntaxKind.SuperKeyword;
  if (!Object.hasOwn(METHODS, name) || isSuper || given.some(ts.isSpreadElement)) return undefined;
  const most = METHODS[name].split(',').filter(Boolean).length;
  return given.length <= most ? name : undefined;
}

/** @param {ts.NewExpression} node */
const isPromise = (node) =>
  node.expression.getText() === 'Promise' && !RUN_OFTEN.test(outermostName(node));

/**
 * @param {ts.Node} node
 * @returns {string} the function, class or variable at the top of the module that it is in
 */
function outermostName(node) {
  let name = '';
  for (let at = node; !ts.isSourceFile(at); at = at.parent) {
    if ('name' in at) name = /** @type {ts.NamedDeclaration} */ (at).name?.getText() ?? '';
  }
  return name;
}

/** @param {ts.Node} node */
function operatorOf(node) {
  return ts.isBinaryExpression(node) ? node.operatorToken.getText() : '';
}

/**
 * @param {string} code
 * @param {Edit[]} edits
 */
function edited(code, edits) {
  let rest = code;
  // From the end on; what is put in front of a mention comes after it.
  for (const [from, to, text] of edits.sort((a, b) => b[0] - a[0] || b[1] - a[1])) {
    rest = rest.slice(0, from) + text + rest.slice(to);
  }
  return rest;
}

/**
 * A function with a `this` of its own, from its beginning on: in a derived class's constructor there
 * is none before super().
 *
 * @param {ts.Node} node
 * @returns {node is ts.FunctionLikeDeclaration & { body: ts.Block }}
 */
function hasOwnThis(node) {
  if (ts.isConstructorDeclaration(node)) return node.parent.heritageClauses === undefined;
  return (
    ts.isMethodDeclaration(node) ||
    ts.isAccessor(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isFunctionExpression(node)
  );
}

/**
 * @param {ts.Node} body
 * @returns {ts.Node[]} where it says `this`, meaning that of its function
 */
function mentionsOf(body) {
  /** @type {ts.Node[]} */
  const found = [];
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (node.kind === ts.SyntaxKind.ThisKeyword) found.push(node);
    else if (!ts.isClassLike(node) && !(ts.isFunctionLike(node) && !ts.isArrowFunction(node))) {
      ts.forEachChild(node, visit);
    }
  };
  visit(body);
  return found;
}
