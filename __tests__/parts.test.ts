import { inspect } from 'node:util';
import fc from 'fast-check';
import { InvalidURI, parseUri } from 'aiowebsocket';

test.each([
  ['ws://example.com', 'ws', 'example.com', 80, '/'],
  ['wss://example.com', 'wss', 'example.com', 443, '/'],
  ['ws://example.com/', 'ws', 'example.com', 80, '/'],
  ['WS://EXAMPLE.com/Path', 'ws', 'example.com', 80, '/Path'],
  ['WsS://example.com:8443/a', 'wss', 'example.com', 8443, '/a'],
  ['ws://example.com:80', 'ws', 'example.com', 80, '/'],
  ['ws://example.com:443', 'ws', 'example.com', 443, '/'],
  ['wss://example.com:80', 'wss', 'example.com', 80, '/'],
  ['ws://example.com:65535/', 'ws', 'example.com', 65535, '/'],
  ['ws://example.com:/a', 'ws', 'example.com', 80, '/a'],
  ['ws://127.0.0.1:8080/chat', 'ws', '127.0.0.1', 8080, '/chat'],
  ['ws://[::1]:8080/', 'ws', '::1', 8080, '/'],
  ['wss://[2001:db8::7]', 'wss', '2001:db8::7', 443, '/'],
  ['ws://localhost?a=b', 'ws', 'localhost', 80, '/?a=b'],
  ['ws://localhost/?a=b&c=%20d', 'ws', 'localhost', 80, '/?a=b&c=%20d'],
  ['ws://münchen.example/', 'ws', 'xn--mnchen-3ya.example', 80, '/'],
] as const)('%s is taken apart', (uri, scheme, host, port, resource) => {
  expect(parseUri(uri)).toEqual({ scheme, host, port, resource, ssl: scheme === 'wss' });
});

test.each([
  ['/a/../b/./c//d', '/a/../b/./c//d'],
  ['/%7Euser/%7e', '/%7Euser/%7e'],
  ["/~!$&'()*+,;=:@-._", "/~!$&'()*+,;=:@-._"],
  ['/a?b?c/d', '/a?b?c/d'],
  ['/?', '/?'],
  ['/[x]', '/[x]'],
])('path and query go out as written: %s', (written, resource) => {
  expect(parseUri(`ws://a${written}`).resource).toBe(resource);
});

test.each([
  ['/päth', '/p%C3%A4th'],
  ['/聊天?q=🎉', '/%E8%81%8A%E5%A4%A9?q=%F0%9F%8E%89'],
  ['/"<>^`{|}', '/%22%3C%3E%5E%60%7B%7C%7D'],
])('what a request line may not carry is percent-encoded as UTF-8: %s', (written, resource) => {
  expect(parseUri(`ws://a${written}`).resource).toBe(resource);
});

test('a URL object is as good as a string', () => {
  expect(parseUri(new URL('wss://example.com:444/a?b'))).toEqual(
    parseUri('wss://example.com:444/a?b'),
  );
});

test.each([
  ['ws://user:secret@a/', 'user:secret'],
  ['ws://user@a/', 'user:'],
  ['ws://:secret@a/', ':secret'],
  ['ws://u%40b:p%3Aw%2F@a/', 'u@b:p:w/'],
  ['ws://%E7%94%A8:%E5%AF%86@a/', '用:密'],
])('user and password are decoded: %s', (uri, userinfo) => {
  expect(parseUri(uri)).toMatchObject({ host: 'a', userinfo, resource: '/' });
});

test.each([
  ['no scheme', 'example.com'],
  ['an HTTP scheme', 'http://example.com'],
  ['an HTTPS scheme', 'https://example.com'],
  ['a longer scheme', 'wsss://example.com'],
  ['no slashes', 'ws:example.com'],
  ['one slash', 'ws:/example.com'],
  ['no host', 'ws://'],
  ['no host, but a path', 'ws:///path'],
  ['no host, but a port', 'ws://:80/'],
  ['no host, but a user', 'ws://user@/'],
  ['a fragment', 'ws://example.com/#top'],
  ['an empty fragment', 'ws://example.com/#'],
  ['a fragment behind the host', 'ws://example.com#top'],
  ['port 0', 'ws://example.com:0/'],
  ['port 65536', 'ws://example.com:65536/'],
  ['a negative port', 'ws://example.com:-1/'],
  ['a port in letters', 'ws://example.com:http/'],
  ['white space before it', ' ws://example.com/'],
  ['white space behind it', 'ws://example.com/ '],
  ['white space in the path', 'ws://example.com/a b'],
  ['CR LF in the path', 'ws://example.com/a\r\nX: y'],
  ['CR LF in the host', 'ws://exam\r\nple.com/'],
  ['a tab in the host', 'ws://exam\tple.com/'],
  ['NUL in the query', 'ws://example.com/?\0'],
  ['DEL', 'ws://example.com/\x7f'],
  ['a no-break space', 'ws://example.com/\u00a0'],
  ['a lone surrogate', 'ws://example.com/\ud800'],
  ['a backslash behind the host', 'ws://example.com\\@evil.example/'],
  ['a backslash in the path', 'ws://example.com/a\\b'],
  ['an unfinished IPv6 address', 'ws://[::1/'],
  ['a wrong IPv6 address', 'ws://[::g]/'],
  ['a wrong IPv4 address', 'ws://1.2.3.256/'],
  ['a user that is no UTF-8', 'ws://%ff@example.com/'],
  ['a percent sign that encodes nothing in the user', 'ws://%@example.com/'],
  ["a colon in the user's name, which would end it", 'ws://us%3Aer:password@example.com/'],
  ['a control character in the user', 'ws://user%0A@example.com/'],
  ['a control character in the password', 'ws://user:%7F@example.com/'],
  ['the empty string', ''],
])('refuses %s', (_what, uri) => {
  expect(() => parseUri(uri)).toThrow(InvalidURI);
});

test.each([
  ['a fragment', 'ws://a/#b', /fragment.*"ws:\/\/a\/#b"/],
  ['a wrong scheme', 'http://a/', /ws:\/\/ or wss:\/\/.*"http:\/\/a\/"/],
  ['a wrong port', 'ws://a:99999/', /host or port.*"ws:\/\/a:99999\/"/],
])('the error about %s tells what is wrong and shows the URI', (_what, uri, message) => {
  expect(() => parseUri(uri)).toThrow(message);
});

test.each([
  'ws://me:secret@a/#b',
  'http://me:secret@a/',
  'ws://me:se%cret@a/',
  'ws://me:secret@/',
  'ws://me:secret@a:99999/',
  'ws://me:se/cret@a/',
  'ws://me:se?cret@a:1/',
  'ws://me:se#cret@a/',
  'ws://me:se@cret@a:0/',
  'ws:me:secret@a',
  'ws:/me:secret@a/',
])('no error shows a password, not even when its cause is printed: %s', (uri) => {
  let error: unknown;
  try {
    parseUri(uri);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ message: expect.stringContaining('***') });
  expect(inspect(error, { depth: 5 }).replace(/^ +at .*/gm, '')).not.toMatch(/cret/);
});

test.each([
  ['undefined', undefined],
  ['null', null],
  ['5', 5],
  ['an instance of Object', { href: 'ws://a/' }],
])('refuses what is neither a string nor a URL, and names it: %s', (shown, uri) => {
  expect(() => parseUri(uri as never)).toThrow(
    expect.objectContaining({
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: `uri must be a string or a URL, got ${shown}`,
    }),
  );
});

test('whatever the path, the request line stays one line of printable ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (path) => {
      let resource: string;
      try {
        resource = parseUri(`ws://a/${path}`).resource;
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidURI);
        return;
      }
      expect(resource).toMatch(/^\/[!-~]*$/);
    }),
  );
});

test('any host and port come back as they were', () => {
  fc.assert(
    fc.property(fc.domain(), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
      expect(parseUri(`ws://${host}:${port}/`)).toMatchObject({ host: host.toLowerCase(), port });
    }),
  );
});

test('a URI of a million characters is looked at in linear time', () => {
  const started = process.cpuUsage().user;
  parseUri(`ws://a/${'%41/'.repeat(250_000)}`);
  expect(() => parseUri(`ws://${'@'.repeat(100_000)}`)).toThrow(InvalidURI);
  expect(() => parseUri(`ws://${'a@'.repeat(50_000)}#`)).toThrow(InvalidURI);
  expect(process.cpuUsage().user - started).toBeLessThan(5_000_000);
});
