import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, parseDuration } from './format.ts';
import { oneLine, renderTable, widthOf } from './table.ts';

const red = (text: string) => `\u001b[31m${text}\u001b[39m`;

describe('renderTable', () => {
  it('aligns columns by what is seen, not by colour codes', () => {
    const table = renderTable([{ title: 'name' }, { title: 'count', align: 'right' }], [[red('a'), '1'], ['bbbbbb', '1,000']], { columns: null });
    expect(table).toBe(`name    count\n${red('a')}           1\nbbbbbb  1,000`);
  });

  it('cuts a line that does not fit the terminal, and leaves no colour open', () => {
    const table = renderTable([{ title: '' }, { title: '' }], [['id', red('a long message')]], { columns: 10 });
    expect(table).toBe('id  a lon…');
    expect(widthOf(table)).toBe(10);
  });
});

it('turns any text into one line without control characters', () => {
  expect(oneLine('a\r\nb\tc\u001b[2Jd\u0007e\u2028f')).toBe('a b cd e f');
});

it('writes durations and sizes for people', () => {
  expect([0, 999, 1_500, 59_940, 61_000, 3_700_000, 90_000_000].map(formatDuration)).toEqual([
    '0 ms', '999 ms', '1.50 s', '59.9 s', '1 m 1 s', '1 h 1 m', '1 d 1 h',
  ]);
  expect([0, 999, 1_000, 1_234_567].map(formatBytes)).toEqual(['0 B', '999 B', '1.0 KB', '1.2 MB']);
});

it('reads durations with and without a unit, and nothing else', () => {
  expect(['250ms', '30s', '5m', '2h', '1d', '1.5s', '40'].map(parseDuration)).toEqual([250, 30_000, 300_000, 7_200_000, 86_400_000, 1_500, 40]);
  expect(['', 's', '-1s', '1 s', '1w'].map(parseDuration)).toEqual([null, null, null, null, null]);
});
