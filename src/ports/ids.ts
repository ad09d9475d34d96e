/** Fresh identities. Deterministic ones are computed from what they name instead. */
export interface Ids {
  /** UUID version 7 (RFC 9562): unique, and sorts by the time it was made. */
  uuidv7(): string;
}
