/** The processes of a run: all of them end with this one. */
import { execFileSync, fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();
/** @type {Set<string>} */
const folders = new Set();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
])) {
  process.on(signal, () => process.exit(code));
}

/**
 * @template {import('node:child_process').ChildProcess} C
 * @param {C} child
 * @returns {C}
 */
function own(child) {
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

/**
 * @typedef {object} Server
 * @property {string} url
 * @property {string | undefined} tlsUrl
 * @property {NodeJS.ProcessEnv} env lets a client trust its certificate
 */

/**
 * Starts the server.
 *
 * @param {{ tls?: boolean }} [options]
 * @returns {Promise<Server>}
 */
export function startServer({ tls = false } = {}) {
  const certificate = tls ? makeCertificate() : undefined;
  const child = own(
    fork(
      fileURLToPath(new URL('server.mjs', import.meta.url)),
      certificate === undefined ? [] : [certificate.key, certificate.cert],
      { execArgv: [] },
    ),
  );
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => reject(new Error('the server has ended')));
    child.on('message', (message) => {
      const { port, tlsPort } = /** @type {{ port: number, tlsPort?: number }} */ (message);
      child.unref();
      child.channel?.unref();
      resolve({
        url: `ws://127.0.0.1:${port}`,
        tlsUrl: tlsPort === undefined ? undefined : `wss://127.0.0.1:${tlsPort}`,
        env:
          certificate === undefined
            ? {}
            : { NODE_EXTRA_CA_CERTS: certificate.cert, SSL_CERT_FILE: certificate.cert },
      });
    });
  });
}

/** A certificate for this run only. */
function makeCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'aiowebsocket-bench-'));
  folders.add(folder);
  const key = join(folder, 'key.pem');
  const cert = join(folder, 'cert.pem');
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=127.0.0.1'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  return { key, cert };
}

/**
 * Runs a client to its end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env: NodeJS.ProcessEnv, timeout: number }} options `timeout` in milliseconds
 * @returns {Promise<string>} the last line that it printed
 * @throws {Error} with what it complained of
 */
export function runClient(command, args, { env, timeout }) {
  const child = own(
    spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      timeout,
      killSignal: 'SIGKILL',
    }),
  );
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => (errors += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output.trimEnd().split('\n').at(-1) ?? '');
      else reject(new Error(errors.trim() || `ended with ${signal ?? code}`));
    });
  });
}
