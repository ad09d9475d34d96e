/*
 * Reads the parts of a Markdown page that state facts: tables, words in backticks, links, headings.
 */

/**
 * The rows of a table, as cells, found by its first header cells: `table(text, 'Phase', 'Means')`. A last argument that
 * begins with `#` is a heading to look below.
 */
export function table(text: string, ...names: string[]): string[][] {
  const heading = names.at(-1)?.startsWith('#') ? names.pop() : undefined;
  const lines = (heading === undefined ? text : text.slice(text.indexOf(heading))).split('\n');
  const header = lines.findIndex((line) => names.every((name, index) => cellsOf(line)[index] === name));
  if (header < 0) throw new Error(`no table with the columns ${names.join(', ')}`);
  const rows = lines.slice(header + 2);
  const end = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, end < 0 ? undefined : end).map(cellsOf);
}

function cellsOf(line: string): string[] {
  return line.startsWith('|') ? line.slice(1, line.lastIndexOf('|')).split(/(?<!\\)\|/).map((cell) => cell.trim()) : [];
}

/** What stands between backticks. Of a page with code blocks, take `missingWords`. */
export function words(text = ''): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word);
}

/** Which of these words the page does not have between backticks, code blocks apart. */
export function missingWords(text: string, wanted: readonly string[]): string[] {
  const present = new Set(words(withoutFences(text)).flatMap((word) => word.split(/[^\w-]+/)));
  return wanted.filter((word) => !present.has(word));
}

function withoutFences(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, '');
}

/** Links within the project. */
export function linksOf(text: string): string[] {
  const prose = withoutFences(text).replaceAll(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link));
}

/** The anchors that a page's headings become. */
export function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    return heading.toLowerCase().replaceAll(/[^\w\s-]/g, '').trim().replaceAll(' ', '-');
  });
}
