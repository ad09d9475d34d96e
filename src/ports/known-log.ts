/** Something that was derived from a log: it proves that there was one, and which. */
export interface KnownLog {
  /** As `EventReader.identity` says it. */
  readonly identity: string;
  /** What was derived, and where it is kept, for people. */
  readonly keptAs: string;
  /** How an operator removes it who gives that history up. */
  readonly removal: string;
}
