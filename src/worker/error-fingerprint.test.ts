import { expect, it } from 'vitest';
import { errorFingerprint } from './error-fingerprint.ts';

it('is equal for errors that differ in what varies from case to case', () => {
  const pairs = [
    ['user 123 not found', 'user 98765 not found'],
    ['order 5f0c1e6e-26c1-4a8e-9f8e-0c4f6f0b1a11 is closed', 'order a9c8f9c1-0000-4a8e-9f8e-0c4f6f0b1a11 is closed'],
    ['GET https://a.example/x?id=1 failed', 'GET http://b.example/yy failed'],
    ["ENOENT: no such file, open '/tmp/a/b.txt'", "ENOENT: no such file, open '/var/c.txt'"],
    ['expired at 2026-01-01T10:00:00Z', 'expired at 2025-12-31T23:59:59.123+02:00'],
    ['session ab12cd34ef56 is gone', 'session 99ffee00aa11 is gone'],
  ] as const;
  for (const [one, other] of pairs) expect(errorFingerprint('Error', one)).toBe(errorFingerprint('Error', other));
});

it('looks at the first five frames, without folders, lines and columns', () => {
  const stack = (folder: string, line: number, sixth = 'f6') =>
    ['Error: x', ...['f1', 'f2', 'f3', 'f4', 'f5', sixth].map((name) => `    at ${name} (file://${folder}/src/mail.ts:${line}:7)`)].join('\n');
  const fingerprint = errorFingerprint('Error', 'x', stack('/srv/app', 10));
  expect(errorFingerprint('Error', 'x', stack('/home/ada', 11, 'other'))).toBe(fingerprint);
  expect(errorFingerprint('Error', 'x', stack('/srv/app', 10).replace('f5', 'g5'))).not.toBe(fingerprint);
});

it('differs for another name or another message', () => {
  const fingerprint = errorFingerprint('Error', 'connection refused');
  expect(fingerprint).toMatch(/^[0-9a-f]{16}$/);
  expect(errorFingerprint('TypeError', 'connection refused')).not.toBe(fingerprint);
  expect(errorFingerprint('Error', 'connection reset')).not.toBe(fingerprint);
});

it('takes time in proportion to the length of hostile text', () => {
  const startedMs = performance.now();
  for (const piece of ['a', '0', '/', '/a', 'a-', 'http://', '0-', 'aaaaaaa ']) errorFingerprint('Error', piece.repeat(2_000 / piece.length));
  expect(performance.now() - startedMs).toBeLessThan(500);
});
