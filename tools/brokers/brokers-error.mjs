/** A failure whose message says all that its reader needs: what is wrong and what to do. Printed without a stack. */
export class BrokersError extends Error {
  name = 'BrokersError';
}
