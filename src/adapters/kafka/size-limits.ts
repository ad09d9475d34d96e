/** The largest record, key and headers included, as the embedded log has it. */
export const maxRecordBytes = 1024 * 1024;

/** Records of one partition in one send, before compression. A single larger record has its own. */
export const maxBatchBytes = 900_000;

/** What the topic must take, `max.message.bytes`: the broker's limit is on a batch, after compression. */
export const topicMessageBytes = 2 * 1024 * 1024;
