import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { SettingOverrides } from './setting-flags.ts';
import { renderTable } from './table.ts';
import type { Terminal } from './terminal.ts';

/** Other units are told by the setting's name. */
const unitsShown: ReadonlySet<string> = new Set(['ms', 's', 'bytes', 'per second']);

/** Prints every setting with the value that a server would take; secrets are masked. */
export async function showConfig(terminal: Terminal, overrides: SettingOverrides): Promise<ExitCode> {
  const { loadConfig, settingsTable } = await import('../apps/config.ts');
  const lines = settingsTable(loadConfig(terminal.surroundings.environment, { overrides }));
  if (terminal.json) {
    await terminal.outJson({ items: lines });
    return exitCodes.ok;
  }
  const { dim, bold } = terminal.paint;
  const rows = lines.map((line) => {
    const changed = line.value !== '' && line.value !== line.default;
    const value = line.value === '' ? dim('-') : `${line.value}${unitsShown.has(line.unit) ? ` ${line.unit}` : ''}`;
    return [changed ? bold(line.variable) : line.variable, changed ? bold(value) : value, dim(defaultAndMeaning(line, changed))];
  });
  const titles = [{ title: 'variable' }, { title: 'value' }, { title: 'meaning' }];
  await terminal.out(renderTable(titles, rows, { columns: terminal.columns, title: dim }));
  return exitCodes.ok;
}

function defaultAndMeaning(line: { readonly value: string; readonly default: string; readonly meaning: string }, changed: boolean): string {
  if (line.default === '' || (!changed && line.value !== '')) return line.meaning;
  return `${line.meaning} (default: ${line.default})`;
}
