/** What the demo takes from the examples: the code of a user, which the program itself does not import. */
export interface Examples {
  /** As `DAYBOOK_TASKS` would name them. */
  readonly path: string;
  /** Handlers, as `startDaybook` takes them; what is no handler it refuses. */
  readonly tasks: unknown;
  startWebhookReceiver(): Promise<WebhookReceiver>;
}

export interface WebhookReceiver {
  readonly url: string;
  readonly deliveries: ReadonlyMap<string, { readonly calls: number; readonly effects: number }>;
  close(): Promise<void>;
}

/**
 * Loads the examples as a server loads the module that `DAYBOOK_TASKS` names. They stand compiled in dist/examples,
 * because Node strips no types below node_modules; a checkout that runs unbuilt takes the sources.
 */
export async function loadExamples(): Promise<Examples> {
  const [folder, ending] = import.meta.url.endsWith('.ts') ? ['../../../examples/', 'ts'] : ['../../examples/', 'js'];
  const load = (name: string): Promise<unknown> => import(new URL(`${folder}${name}.${ending}`, import.meta.url).href);
  const tasks = (await load('tasks')) as { readonly default: unknown };
  const receiver = (await load('webhook-receiver')) as Pick<Examples, 'startWebhookReceiver'>;
  return {
    path: new URL(`${folder}tasks.${ending}`, import.meta.url).pathname,
    tasks: tasks.default,
    startWebhookReceiver: () => receiver.startWebhookReceiver(),
  };
}
