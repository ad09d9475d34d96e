import { z } from 'zod';

/** Proof that a record is in the log: where it stands, and the SHA-256 of its value. */
export const receiptSchema = z.object({
  eventId: z.uuid(),
  topic: z.string(),
  partition: z.int(),
  offset: z.int().describe('The position of the record in its partition'),
  sha256: z.string().describe("Lower-case hex over the record's value bytes"),
  acceptedAt: z.iso.datetime().describe('When the decision was taken'),
});

/** The 202 of a submission. */
export const acceptedTaskSchema = z.object({ id: z.uuid(), type: z.string(), receipt: receiptSchema });

/** The 202 of a cancellation or of a retry: the request is recorded, the decision follows as an event. */
export const recordedRequestSchema = z.object({ id: z.uuid(), requestEventId: z.uuid(), receipt: receiptSchema });
