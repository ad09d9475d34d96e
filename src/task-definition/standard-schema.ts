/**
 * The part of the Standard Schema specification (version 1, https://standardschema.dev) that Daybook uses. Schemas of
 * zod, valibot, arktype and others satisfy it as they are.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

/** JSON pointer (RFC 6901) of an issue, below `base`. */
export function issuePointer(issue: SchemaIssue, base = ''): string {
  return (issue.path ?? []).reduce<string>((pointer, step) => {
    const name = String(typeof step === 'object' ? step.key : step);
    return `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
  }, base);
}
