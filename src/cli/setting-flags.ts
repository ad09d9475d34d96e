/** A setting of the server as a flag: `--lease-ms` for `DAYBOOK_LEASE_MS`. */
export interface SettingFlag {
  readonly flag: string;
  readonly meaning: string;
  /** Shown in the help. */
  readonly common: boolean;
  readonly takesValue: boolean;
}

/** Values of such flags by the setting's name, as `loadConfig` takes them. */
export type SettingOverrides = Readonly<Record<string, string | true>>;

const commandsWithSettings: ReadonlySet<string> = new Set(['start', 'doctor', 'config', 'log', 'topic']);
const commonSettings: ReadonlySet<string> = new Set(['host', 'port', 'dataDir', 'tasks', 'apiKeysFile', 'logLevel']);
/** These have flags of their own; a key in a flag could be read in the list of processes. */
const settingsOfTheClient: ReadonlySet<string> = new Set(['url', 'diaryUrl', 'apiKey']);

/**
 * A flag for every setting, for commands that read them. The settings are part of the server, so they are not loaded
 * for a command that only asks one.
 */
export async function settingFlags(args: readonly string[]): Promise<readonly SettingFlag[]> {
  if (!args.some((arg) => commandsWithSettings.has(arg))) return [];
  const { settings } = await import('../apps/settings.ts');
  return Object.entries(settings)
    .filter(([name]) => !settingsOfTheClient.has(name))
    .map(([name, setting]) => ({
      flag: name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
      meaning: setting.shownDefault === '' ? setting.meaning : `${setting.meaning} (default: ${setting.shownDefault})`,
      common: commonSettings.has(name),
      takesValue: typeof setting.default !== 'boolean',
    }));
}
