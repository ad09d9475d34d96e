import { expect, it } from 'vitest';
import { traceContextOf } from './trace-context.ts';

const sound = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

it.each([sound, sound.replace(/^00/, '01'), `${sound.replace(/^00/, 'cc')}-more`])('takes %s', (header) => {
  expect(traceContextOf(header)).toEqual({ traceparent: header });
});

it.each([
  undefined,
  [sound, sound],
  '',
  'ff' + sound.slice(2),
  sound.toUpperCase(),
  sound.slice(0, -1),
  `${sound}x`,
  sound.replace(/4bf9[0-9a-f]*/, '0'.repeat(32)),
  sound.replace('00f067aa0ba902b7', '0'.repeat(16)),
  `${sound}-${'x'.repeat(200)}`,
])('ignores %s', (header) => {
  expect(traceContextOf(header)).toEqual({});
});
