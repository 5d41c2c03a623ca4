/** Certificates, made here and now: X.509 (RFC 5280) needs no more than a little DER. */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** A certificate and its key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** Names and IPv4 addresses that it is for. */
  readonly names?: readonly string[];
  /** Who signs it. Default: itself. */
  readonly issuer?: Authority;
  /** Whether it may sign others. */
  readonly isAuthority?: boolean;
  /** Last day, `YYMMDD`. */
  readonly until?: string;
}

/** Who can sign certificates. */
export interface Authority extends Certificate {
  readonly name: string;
  readonly privateKey: KeyObject;
}

function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...items: readonly Uint8Array[]): Buffer => der(0x30, ...items);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const TRUE = der(0x01, Buffer.from([0xff]));
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));

function distinguishedName(name: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))));
}

function extensions(names: readonly string[], isAuthority: boolean): Buffer {
  const alternatives = names.map((name) =>
    isIPv4(name)
      ? der(0x87, Buffer.from(name.split('.').map(Number)))
      : der(0x82, Buffer.from(name)),
  );
  const list = [
    ...(isAuthority ? [sequence(oid('551d13'), TRUE, der(0x04, sequence(TRUE)))] : []),
    ...(names.length > 0 ? [sequence(oid('551d11'), der(0x04, sequence(...alternatives)))] : []),
  ];
  return list.length === 0 ? Buffer.alloc(0) : der(0xa3, sequence(...list));
}

const pem = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

/** Makes a certificate. */
export function makeCertificate(name: string, options: CertificateOptions = {}): Authority {
  const { names = [], issuer, isAuthority = false, until = '491231' } = options;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const date = (day: string): Buffer => der(0x17, Buffer.from(`${day}000000Z`));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(8)),
    ECDSA_SHA256,
    distinguishedName(issuer?.name ?? name),
    sequence(date('200101'), date(until)),
    distinguishedName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    extensions(names, isAuthority),
  );
  const signature = sign('sha256', body, issuer?.privateKey ?? privateKey);
  return {
    name,
    privateKey,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: pem(sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature))),
  };
}
