/**
 * Holds the documents to the code. Every `ts` block of README.md, README.zh-CN.md and docs/*.md is
 * type-checked; one marked `ts run`, or `js run` for CommonJS, is a program, which is run against
 * the built package and has to end by itself with exit code 0. Where such a block says
 * ws://127.0.0.1:8765, it is given an echo server.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import ts from 'typescript';
import { WebSocketServer } from 'ws';

/** What documents call the echo server. */
const SERVER = 'ws://127.0.0.1:8765';
/** How long a block may run, in milliseconds. */
const PATIENCE = 20_000;

interface Block {
  /** `README.md:12`, the line of its first line of code. */
  readonly place: string;
  readonly line: number;
  readonly language: 'ts' | 'js';
  readonly runs: boolean;
  readonly code: string;
}

const root = join(__dirname, '..');
const readmes = ['README.md', 'README.zh-CN.md'];
const documents = [...readmes, ...markdownFiles('docs')];
const blocks = documents.filter((name) => existsSync(join(root, name))).flatMap(readBlocks);
const typed = blocks.filter(({ language }) => language === 'ts');
const programs = blocks.filter(({ runs }) => runs);

test.each(readmes)('%s is there and has ts blocks', (name) => {
  expect(existsSync(join(root, name))).toBe(true);
  expect(typed.filter(({ place }) => place.startsWith(`${name}:`))).not.toEqual([]);
});

test('some blocks run, of both languages', () => {
  expect(new Set(programs.map(({ language }) => language))).toEqual(new Set(['ts', 'js']));
});

describe('type-checks', () => {
  let diagnose: (block: Block) => string[];

  beforeAll(() => {
    diagnose = typeChecker(typed);
  }, 60_000);

  for (const block of typed) {
    test(block.place, () => {
      expect(diagnose(block)).toEqual([]);
    });
  }
});

describe('runs', () => {
  const folder = join(root, '.cache', `docs-${process.pid}`);
  let server: WebSocketServer;

  beforeAll(async () => {
    server = await startEchoServer();
    mkdirSync(folder, { recursive: true });
    await run([join(root, 'tools', 'build.mjs'), '--quiet'], 60_000);
  }, 70_000);

  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  });

  for (const block of programs) {
    const name = block.place.replace(/[^\w.]+/g, '-');

    test(
      block.place,
      async () => {
        const { port } = server.address() as AddressInfo;
        const program = toProgram(block, `ws://127.0.0.1:${port}`);
        // Inside the project, so that the package's own name means what is built here.
        const file = join(folder, `${name}.${program.extension}`);
        writeFileSync(file, program.code);
        await run([file], PATIENCE);
      },
      PATIENCE + 5_000,
    );
  }
});

function markdownFiles(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`);
}

/** The fenced ts and js blocks of a document; those in a list are indented. */
function readBlocks(name: string): Block[] {
  const lines = readFileSync(join(root, name), 'utf8').split(/\r?\n/);
  const found: Block[] = [];
  for (let i = 0; i < lines.length; i++) {
    const [, indent = '', fence, info = ''] = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(lines[i] ?? '') ?? [];
    if (fence === undefined) continue;
    const end = lines.findIndex((line, j) => j > i && line.trim() === fence);
    if (end < 0) throw new Error(`${name}:${i + 1}: the code block has no end`);
    const [language, ...marks] = info.trim().split(/\s+/);
    if (language === 'ts' || language === 'js') {
      const code = lines.slice(i + 1, end).map((line) => line.slice(indent.length));
      const place = `${name}:${i + 2}`;
      found.push({
        place,
        line: i + 2,
        language,
        runs: marks.includes('run'),
        code: code.join('\n'),
      });
    }
    i = end;
  }
  return found;
}

/** One program for all blocks, each of which is a module of its own that exists only in memory. */
function typeChecker(checked: readonly Block[]): (block: Block) => string[] {
  const nameOf = (block: Block): string => `${root}/${block.place.replace(/[/:]/g, '.')}.ts`;
  const sources = new Map(checked.map((block) => [nameOf(block), block.code]));
  const options = compilerOptions();
  const host = ts.createCompilerHost(options, true);
  const { fileExists, readFile } = host;
  host.fileExists = (name) => sources.has(name) || fileExists(name);
  host.readFile = (name) => sources.get(name) ?? readFile(name);
  const program = ts.createProgram([...sources.keys()], options, host);

  return (block) => {
    const file = program.getSourceFile(nameOf(block));
    if (file === undefined) throw new Error(`${block.place} is not in the program`);
    const diagnostics = [
      ...program.getOptionsDiagnostics(),
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ];
    return diagnostics.map(({ start = 0, messageText }) => {
      const line = block.line + file.getLineAndCharacterOfPosition(start).line;
      const place = block.place.replace(/\d+$/, String(line));
      return `${place}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
  };
}

function compilerOptions(): ts.CompilerOptions {
  const host: ts.ParseConfigFileHost = {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
      throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'));
    },
  };
  const config = ts.getParsedCommandLineOfConfigFile(join(root, 'tsconfig.json'), {}, host);
  const { tsBuildInfoFile: _, ...options } = config?.options ?? {};
  return {
    ...options,
    incremental: false,
    types: ['node'],
    // A block shows a thing and leaves it there.
    noUnusedLocals: false,
    noUnusedParameters: false,
  };
}

function toProgram({ language, code }: Block, server: string): { extension: string; code: string } {
  const addressed = code.replaceAll(SERVER, server);
  if (language === 'js') {
    return { extension: /^import\s/m.test(code) ? 'mjs' : 'cjs', code: addressed };
  }
  const { outputText } = ts.transpileModule(addressed, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  });
  return { extension: 'mjs', code: outputText };
}

async function startEchoServer(): Promise<WebSocketServer> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('message', (data, isBinary) => {
      socket.send(data, { binary: isBinary });
    });
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return server;
}

/** Runs a program of ours; fails with all it printed when it does not end well and in time. */
function run(args: readonly string[], timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { cwd: root, timeout, killSignal: 'SIGKILL' } as const;
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (error === null) resolve();
      else if (error.killed === true)
        reject(new Error(`not done after ${timeout} ms\n${stdout}${stderr}`));
      else reject(new Error(`ended with ${error.code ?? error.signal ?? ''}\n${stdout}${stderr}`));
    });
  });
}
