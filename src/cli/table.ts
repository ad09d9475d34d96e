import { stripVTControlCharacters } from 'node:util';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

export interface TableOptions {
  /** Longest line in characters; the last column is cut to fit. Null: no limit. */
  readonly columns: number | null;
  /** Dresses the title line. */
  readonly title?: (text: string) => string;
  readonly indent?: string;
}

/** Aligned columns, two spaces apart, without rules. Cells may hold colours. */
export function renderTable(columns: readonly Column[], rows: ReadonlyArray<readonly string[]>, options: TableOptions): string {
  const { indent = '', title = (text) => text } = options;
  const titled = columns.some((column) => column.title !== '');
  const lines = titled ? [columns.map((column) => column.title), ...rows] : rows;
  const widths = columns.map((_, index) => Math.max(0, ...lines.map((line) => widthOf(line[index] ?? ''))));
  const rendered = lines.map((line) => {
    const cells = columns.map((column, index) => pad(line[index] ?? '', widths[index] ?? 0, column.align));
    return fit(indent + cells.join('  ').trimEnd(), options.columns);
  });
  return titled ? [title(rendered[0] ?? ''), ...rendered.slice(1)].join('\n') : rendered.join('\n');
}

export function widthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}

function pad(text: string, width: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'right' ? space + text : text + space;
}

/** Cuts a line that is too long; a cut line loses its colours, since a colour must not be left open. */
function fit(line: string, columns: number | null): string {
  if (columns === null || widthOf(line) <= columns) return line;
  return `${[...stripVTControlCharacters(line)].slice(0, Math.max(1, columns - 1)).join('')}…`;
}

/** One line of text that cannot move the cursor or break the table, whatever a payload or an error message holds. */
export function oneLine(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}
