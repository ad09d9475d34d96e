import type { Registry } from 'prom-client';
import type { AcceptTask } from '../../task-api/accept-task.ts';
import { gauge } from './gauge.ts';

export function addApiMetrics(registry: Registry, { counts }: AcceptTask): void {
  gauge(registry, 'daybook_api_submissions', 'Submissions since the start, by answer', ['answer'], () => [
    ['accepted', counts.accepted],
    ['replayed', counts.replayed],
    ['unavailable', counts.unavailable],
    ...counts.refused,
  ]);
  gauge(registry, 'daybook_api_rejections_not_recorded', 'Rejections beyond the recording limit, since the start', [], () => [['', counts.rejectionsNotRecorded]]);
}
