import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { decodeEvent, encodeValue } from '../../src/domain/event-codec.ts';
import { fold } from '../../src/domain/evolve.ts';
import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from '../../src/domain/json.ts';
import type { LogRecord } from '../../src/domain/log-record.ts';
import {
  failureCauses,
  permanentFailureReasons,
  retryReasons,
  schemaVersions,
  taskEventTypes,
  type DecodedRecord,
  type TaskEvent,
  type TaskEventType,
} from '../../src/domain/task-events.ts';
import { phaseOf } from '../../src/domain/task-state.ts';
import { derivedId, eventId } from '../../src/event-producer/event-id.ts';
import { exploreLifecycle } from '../../tools/docs/explore-lifecycle.ts';
import { anchorsOf, linksOf, missingWords, table, words } from '../../tools/docs/markdown.ts';

/*
 * The pages in docs/ state facts about the code. Here the facts are compared with the code, so that neither changes
 * without the other.
 */

const root = fileURLToPath(new URL('../..', import.meta.url));
const lifecycle = page('docs/design/01-domain-and-lifecycle.md');
const events = page('docs/design/02-events-and-topic.md');
const execution = page('docs/design/03-execution-and-failure.md');
const modules = page('docs/design/04-modules-and-dependencies.md');

describe('docs/design/01', () => {
  const seen = exploreLifecycle();

  it('names every event type', () => expect(missingWords(lifecycle, taskEventTypes)).toEqual([]));

  it('has every phase, and no other', () => {
    const phases = table(lifecycle, 'Phase', 'Means').map(([phase]) => words(phase)[0]);
    expect(phases.sort()).toEqual(seen.phases);
  });

  it('has every valid event of every phase, with the phase that it leads to', () => {
    const moves = table(lifecycle, 'Phase', 'Moves on', 'Stays').flatMap(([phase = '', on = '', stays = '']) => {
      const from = phase.replaceAll('`', '');
      const leaving = [...on.matchAll(/`(\w+)` → (\w+)/g)].map(([, type, to]) => `${from} ${type} ${to}`);
      return [...leaving, ...words(stays).map((type) => `${from} ${type} ${from}`)];
    });
    expect(moves.sort()).toEqual(seen.moves);
  });

  it('draws legal moves only, and every phase', () => {
    const arrows = [...lifecycle.matchAll(/^ {2}(\S+) --> (\w+): (\w+)$/gm)].map(([, from, to, type]) => {
      return `${from === '[*]' ? 'none' : from} ${type} ${to}`;
    });
    expect(arrows.filter((arrow) => !seen.moves.includes(arrow))).toEqual([]);
    expect([...new Set(arrows.map((arrow) => arrow.split(' ')[2]))].sort()).toEqual(seen.phases);
  });

  it('has every void code of every event, and no other', () => {
    // Said once for all events below the table, instead of in each row.
    const common = ['unknown-task', 'task-rejected'];
    const documented = table(lifecycle, 'Event', 'Valid when', 'Void codes').flatMap(([type = '', , codes = '']) => {
      return words(codes).map((code) => `${words(type)[0]} ${code}`);
    });
    expect(documented.sort()).toEqual(seen.voids.filter((found) => !common.includes(found.split(' ')[1] ?? '') && found !== 'Unreadable unreadable'));
    for (const code of common) {
      const first = ['TaskAccepted', 'TaskRejected'];
      const types = seen.voids.filter((found) => found.endsWith(` ${code}`)).map((found) => found.split(' ')[0]);
      expect(types.sort()).toEqual(taskEventTypes.filter((type) => !first.includes(type)).sort());
    }
    expect(missingWords(lifecycle, [...common, 'unreadable'])).toEqual([]);
  });

  it('names every anomaly code that the state can hold', () => {
    const named = quoted(/export type AnomalyCode =([^;]+);/.exec(page('src/domain/task-state.ts'))?.[1]);
    expect(named.length).toBeGreaterThan(0);
    expect(missingWords(lifecycle, named)).toEqual([]);
  });

  it('explains every cause of a failure and every reason of a permanent one', () => {
    expect(table(lifecycle, '`TaskExecutionFailed.cause`', 'Means', 'Retried').flatMap(([cause]) => words(cause)).sort()).toEqual([...failureCauses].sort());
    expect(table(lifecycle, '`TaskFailedPermanently.reason`', 'Means').flatMap(([reason]) => words(reason)).sort()).toEqual([...permanentFailureReasons].sort());
  });

  it('has every decision in the table of what happens next, and no other', () => {
    const source = page('src/domain/dispatch-policy.ts');
    const decisions = [...source.matchAll(/^ {2}\| \{ readonly type: '(\w+)'/gm)].map(([, type = '']) => type);
    const named = table(lifecycle, 'State', 'Decision').flatMap(([, decision]) => words(decision)).filter((word) => /^[A-Z]\w+$/.test(word));
    expect([...new Set(named)].sort()).toEqual(decisions.sort());
  });
});

describe('docs/design/02', () => {
  const examples = examplesOf(events);

  it('has a section with an example for every event type, and for no other', () => {
    const sections = [...events.matchAll(/^### (\w+)$/gm)].map(([, type]) => type);
    expect(sections.toSorted()).toEqual(taskEventTypes.toSorted());
    expect(examples.filter(({ section }) => section !== null).map(({ section }) => section)).toEqual(sections);
  });

  it.each(examples)('decodes the example of $type, byte for byte what the codec writes', ({ record, type, section }) => {
    const event = decodeEvent(record);
    expect(event.type).toBe(type);
    expect(section ?? type).toBe(type);
    if (event.type === 'Unreadable') throw new Error(event.detail);
    expect(textOf(encodeValue(event.type, event, event.data))).toBe(textOf(record.value));
    expect(new Map(record.headers).get('ce_dataschema')).toBe(`/schemas/${type}/${schemaVersions[event.type]}`);
  });

  it.each(examples.filter(({ idOver }) => idOver !== null))('states the id of the example of $type', ({ record, idOver }) => {
    const event = decodeEvent(record) as TaskEvent;
    const parts = JSON.parse(idOver ?? '') as JsonValue[];
    const cause = { attempt: Number(parts[2]), eventId: String(parts[4]) };
    expect(canonicalJson(parts)).toBe(idOver);
    expect(derivedId(parts)).toBe(event.id);
    expect(eventId(event.type, event.taskId, event.data, record.value, cause)).toBe(event.id);
  });

  it('names as the cause of a decision an event that stands on the page', () => {
    const decisions = examples.filter(({ type, section }) => section && ['TaskRetryScheduled', 'TaskCancelled', 'TaskFailedPermanently'].includes(type));
    const ids = examples.map(({ record }) => decodeEvent(record).id);
    expect(decisions.map(({ idOver }) => (JSON.parse(idOver ?? '[]') as string[])[4]).filter((id) => !ids.includes(id ?? ''))).toEqual([]);
  });

  it('tells one legal story', () => {
    const records = examples.filter(({ section }) => section !== null).map(({ record }) => decodeEvent(record));
    const first = records[0]?.taskId ?? '';
    // The page goes by type; history goes by time.
    const story = records.filter(({ taskId }) => taskId === first).sort((one, other) => timeOf(one) - timeOf(other));
    const state = fold(first, story);
    expect(state.anomalies).toEqual([]);
    expect(phaseOf(state)).toBe('completed');
    expect(story.length).toBe(state.seen.length + 1);
  });

  it.each(taskEventTypes)('lists the members of %s that the codec reads, each one there or marked as optional', (type) => {
    const rows = table(events, 'Member', 'Meaning', `### ${type}\n`).flatMap(([member]) => words(member));
    const members = rows.map((row) => row.replace('?', ''));
    const example = examples.find(({ section }) => section === type);
    if (!example) throw new Error('no example');
    const common = ['taskId', 'type', 'typeVersion'];
    expect(members.toSorted()).toEqual(membersRead(type, example.record).filter((member) => !common.includes(member)));

    const value = JSON.parse(textOf(example.record.value)) as JsonObject;
    expect(rows.filter((row) => !row.endsWith('?') && !isIn(value, row))).toEqual([]);
    const mandatory = rows.filter((row) => row.endsWith('?') && !decodesWithout(example.record, row.slice(0, -1)));
    expect(mandatory).toEqual([]);
  });

  it('lists every reason why a record cannot be read', () => {
    const reasons = quoted(/interface UnreadableRecord [\s\S]+?readonly reason: ([^;]+);/.exec(page('src/domain/task-events.ts'))?.[1]);
    expect(reasons.length).toBeGreaterThan(0);
    expect(table(events, 'Reason', 'Means', 'Freezes the task').flatMap(([reason]) => words(reason)).sort()).toEqual(reasons.sort());
  });

  it.each(table(execution, 'Away', 'Users see', 'Meanwhile', 'Comes back', 'Shown by'))('%s away: names tests that exist', (...row) => {
    const cited = [...(row.at(-1) ?? '').matchAll(/`([^`]+\.test\.ts)`: "([^"]+)"/g)];
    expect(cited.length).toBeGreaterThan(0);
    for (const [, file = '', name = ''] of cited) expect(page(file), file).toContain(name);
  });

  it('names every cause and every reason', () => {
    expect(missingWords(events, [...failureCauses, ...permanentFailureReasons, ...retryReasons])).toEqual([]);
  });
});

describe('docs/design/03', () => {
  const crashPoints = table(execution, 'Point', 'A crash here leaves', 'Heals by', 'Shown by');

  it('numbers its crash points without a gap', () => {
    expect(crashPoints.length).toBeGreaterThan(0);
    expect(crashPoints.map(([point = '']) => /^C\d+/.exec(point)?.[0])).toEqual(crashPoints.map((_, index) => `C${index + 1}`));
  });

  it.each(crashPoints)('%s: names tests that exist, or says that there is none', (_point, _leaves, _heals, shown = '') => {
    const cited = [...shown.matchAll(/`([^`]+\.(?:test|contract)\.ts)`: "([^"]+)"/g)];
    if (cited.length === 0) expect(shown).toMatch(/^untested$|^as C\d+/);
    for (const [, file = '', name = ''] of cited) expect(page(file), file).toContain(name);
  });

  it('names every cause and every reason', () => {
    expect(missingWords(execution, [...failureCauses, ...permanentFailureReasons])).toEqual([]);
  });

  it('says of every capability that a contract names whether the embedded adapters have it', () => {
    const contracts = filesIn('test/contracts', '.contract.ts').map(page);
    const named = contracts.flatMap((text) => quoted(/export type \w+Capability =([^;]+);/.exec(text)?.[1]));
    const adapters = filesIn('src/adapters/embedded', '.int.test.ts').map(page);
    const missing = adapters.flatMap((text) => [...(/missing: \{([^}]*)\}/.exec(text)?.[1] ?? '').matchAll(/(?:'([\w ]+)'|(\w+)):/g)].map(([, quotedName, name]) => quotedName ?? name));
    const rows = table(execution, 'Capability', 'Means', 'Embedded');
    expect(named.length).toBeGreaterThan(0);
    expect(rows.flatMap(([capability]) => words(capability)).sort()).toEqual([...new Set(named)].sort());
    expect(rows.filter(([, , has]) => has !== 'yes').flatMap(([capability]) => words(capability)).sort()).toEqual(missing.sort());
  });
});

describe('docs/design/04', () => {
  it('lists every boundary rule, and no other', async () => {
    const file = pathToFileURL(join(root, '.dependency-cruiser.mjs')).href;
    const { default: rules } = (await import(file)) as { default: { forbidden: Array<{ name: string }> } };
    const names = ['not-in-allowed', ...rules.forbidden.map(({ name }) => name)];
    expect(table(modules, 'Rule', 'Forbids').flatMap(([rule]) => words(rule)).sort()).toEqual(names.sort());
  });

  it('draws the modules as the source has them', () => {
    execFileSync(process.execPath, ['tools/docs/module-graph.mjs', '--check'], { cwd: root, stdio: 'pipe' });
  }, 60_000);
});

describe('the pages', () => {
  const pages = ['README.md', 'CONTRIBUTING.md', ...filesIn('docs', '.md')];
  const decisions = readdirSync(join(root, 'docs/decisions')).sort();

  it.each(pages)('%s: every link within the project leads somewhere', (file) => {
    expect(linksOf(page(file)).filter((link) => !leadsSomewhere(file, link))).toEqual([]);
  });

  it('are all listed in docs/README.md', () => {
    const listed = linksOf(page('docs/README.md')).map((link) => relative(root, resolve(root, 'docs', link)));
    expect(filesIn('docs', '.md').filter((file) => file !== 'docs/README.md' && !listed.includes(file))).toEqual([]);
  });

  it('number the decisions without a gap', () => {
    expect(decisions.map((file) => Number(file.slice(0, 4)))).toEqual(decisions.map((_, index) => index + 1));
  });

  it.each(decisions)('docs/decisions/%s: says context, choice and price on one page', (file) => {
    const text = page(`docs/decisions/${file}`);
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual(['Context', 'Choice', 'Price']);
    expect(text.split('\n').length).toBeLessThanOrEqual(60);
  });

  it('explain each word once, in alphabetical order', () => {
    const terms = [...page('docs/glossary.md').matchAll(/^\*\*([^*]+)\*\*/gm)].map(([, term = '']) => term.toLowerCase());
    expect(terms.length).toBeGreaterThan(0);
    expect(terms).toEqual([...new Set(terms)].sort());
  });
});

interface Example {
  readonly type: string;
  /** The section that it is the example of; null before the sections. */
  readonly section: string | null;
  readonly record: LogRecord;
  /** The array that its id is computed over, as the page has it. */
  readonly idOver: string | null;
}

function examplesOf(text: string): Example[] {
  const found = text.matchAll(/^### (\w+)$|(?:^Id over `(.+)`\n\n)?^```json\n([\s\S]+?)^```$/gm);
  let section: string | null = null;
  const examples: Example[] = [];
  for (const [, heading, idOver, json] of found) {
    if (heading !== undefined) section = heading;
    if (json === undefined) continue;
    const { headers, value } = JSON.parse(json) as { headers: Record<string, string>; value: JsonValue };
    const record = { key: headers['ce_subject'] ?? '', headers: Object.entries(headers), value: bytesOf(value) };
    examples.push({ type: headers['ce_type'] ?? '', section, record, idOver: idOver ?? null });
  }
  return examples;
}

/** Which members the codec looks at: an upcaster hands it the value in a wrapping that notes each name. */
function membersRead(type: TaskEventType, record: LogRecord): string[] {
  const names = new Set<string>();
  // The content of these is the user's own.
  const opaque = ['payload', 'result', 'tags'];
  const watch = (value: unknown, path: string): unknown => {
    if (Array.isArray(value)) return value.map((entry) => watch(entry, `${path}[]`));
    if (!isJsonObject(value) || opaque.includes(path)) return value;
    return new Proxy(value, {
      get(target, name) {
        const inner = path === '' ? String(name) : `${path}.${String(name)}`;
        names.add(inner);
        return watch(target[String(name)], inner);
      },
    });
  };
  const next = { ...schemaVersions, [type]: schemaVersions[type] + 1 };
  const decoded = decodeEvent(record, { [type]: { [schemaVersions[type]]: (value: JsonObject) => watch(value, '') as JsonObject } }, next);
  expect(decoded.type).toBe(type);
  return [...names].sort();
}

function decodesWithout(record: LogRecord, member: string): boolean {
  const value = JSON.parse(textOf(record.value)) as Record<string, unknown>;
  const [outer = '', inner] = member.split('.');
  if (inner === undefined) delete value[outer];
  else delete (value[outer] as Record<string, unknown>)[inner];
  return decodeEvent({ ...record, value: bytesOf(value as JsonObject) }).type !== 'Unreadable';
}

function isIn(value: JsonObject, member: string): boolean {
  let found: JsonValue | undefined = value;
  for (const name of member.split(/\.|(?=\[\])/)) {
    if (name === '[]') found = (found as readonly JsonValue[])[0];
    else found = (found as JsonObject | undefined)?.[name];
  }
  return found !== undefined;
}

function timeOf(event: DecodedRecord): number {
  return event.type === 'Unreadable' ? 0 : event.timeMs;
}

function bytesOf(value: JsonValue): Uint8Array {
  return new TextEncoder().encode(canonicalJson(value));
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function leadsSomewhere(from: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : relative(root, resolve(root, dirname(from), path));
  if (!existsSync(join(root, target))) return false;
  return anchor === undefined || anchorsOf(page(target)).includes(anchor);
}

/** The texts in single quotes. */
function quoted(source = ''): string[] {
  return [...source.matchAll(/'([^']+)'/g)].map(([, text = '']) => text);
}

function filesIn(folder: string, ending: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(ending));
  return files.map((entry) => relative(root, join(entry.parentPath, entry.name))).sort();
}

function page(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}
