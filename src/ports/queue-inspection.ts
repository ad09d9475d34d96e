/** Looks at the execution queue from outside, without taking a job from it. */
export interface QueueInspection {
  /**
   * How many jobs wait to be delivered; those that workers hold are not counted. Null: there is no such queue, so that
   * what was handed to one of that name is in it no more.
   * @throws DaybookError `queue-unavailable`: the queue did not answer within its deadline, or nobody consumes it and
   *   its answer cannot be told from silence
   */
  readyJobs(queue: string): Promise<number | null>;
}
