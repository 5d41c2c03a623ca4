/** Holds the tables and links of the documents to the package. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AioWebSocket, describeStatus, isCloseCode, statusName } from 'aiowebsocket';

const root = join(__dirname, '..');
const readmes = ['README.md', 'README.zh-CN.md'];
const documents = [
  ...readmes,
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'examples/README.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
];
const read = (name: string): string => readFileSync(join(root, name), 'utf8');

/** The cells of every row of every table. */
function rows(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** The options that exist, as the error for one that does not tells them. */
function knownOptions(): string[] {
  try {
    new AioWebSocket('ws://host', { none: 1 } as object);
  } catch (error) {
    return (error as Error).message.replace(/.* known are /, '').split(', ');
  }
  throw new Error('an unknown option was accepted');
}

test.each(readmes)('%s has every option in its tables, and no other', (name) => {
  const text = read(name);
  const from = text.search(/^## (Options|选项)$/m);
  const to = text.search(/^## (Status codes|关闭码)$/m);
  const named = rows(text.slice(from, to)).flatMap(
    ([cell = '']) => /^`(\w+)`$/.exec(cell)?.[1] ?? [],
  );

  expect(named.sort()).toEqual(knownOptions());
});

test.each(readmes)('%s tells each status code by its name, and whether it may be sent', (name) => {
  const found = rows(read(name)).filter(([code = '']) => /^\d+(–\d+)?$/.test(code));
  const covered = found.map(([range = '', shown, meaning, sent]) => {
    const codes = range.split('–').map(Number);
    for (const code of codes) {
      expect([code, shown]).toEqual([code, statusName(code)]);
      expect([code, sent === '✓']).toEqual([code, isCloseCode(code)]);
      if (name === 'README.md') expect([code, meaning]).toEqual([code, describeStatus(code)]);
    }
    return codes;
  });

  // One after another, without a gap.
  let next = 0;
  for (const [first = 0, last = first] of covered) {
    expect(first).toBe(next);
    next = last + 1;
  }
  expect(next).toBe(5000);
});

test.each(documents)('%s links to what is there', (name) => {
  const links = [...read(name).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  const broken = links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const file = path === '' ? name : join(dirname(name), path);
    if (!existsSync(join(root, file))) return true;
    return anchor !== undefined && !headings(read(file)).includes(anchor);
  });

  expect(broken).toEqual([]);
});

/** The anchors of a document's headings, as they are made where it is read. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
}
