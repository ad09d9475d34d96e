/** Names under which NestJS modules find what the composition root wired. One per port. */
export const tokens = {
  eventAppender: Symbol('EventAppender'),
  eventReader: Symbol('EventReader'),
  partitionOwnership: Symbol('PartitionOwnership'),
  snapshotStore: Symbol('SnapshotStore'),
  jobSender: Symbol('JobSender'),
  jobReceiver: Symbol('JobReceiver'),
  queueInspection: Symbol('QueueInspection'),
  presenceWriter: Symbol('PresenceWriter'),
  presenceReader: Symbol('PresenceReader'),
  executionClaims: Symbol('ExecutionClaims'),
  projectionStore: Symbol('ProjectionStore'),
  projectionReader: Symbol('ProjectionReader'),
  clock: Symbol('Clock'),
  ids: Symbol('Ids'),
  logger: Symbol('Logger'),
} as const;
