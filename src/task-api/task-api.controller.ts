import { Controller, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { traceContextOf } from '../domain/trace-context.ts';
import { AcceptTask } from './accept-task.ts';
import { Problem } from './problem.ts';
import { isTaskId, RecordRequest } from './record-request.ts';
import { problemOf } from './refusal.ts';
import { reasonBody, taskRequestBody } from './task-request.ts';
import { acceptedTaskSchema, recordedRequestSchema } from './task-response.ts';

/** What the routes read of a request; the HTTP edge has parsed the body and set the caller. */
export interface ApiRequest {
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly raw: { readonly rawHeaders: readonly string[] };
  readonly ip: string;
  /** The authenticated name; null where no keys are asked for. */
  readonly callerName: string | null;
}

export interface ApiResponse {
  header(name: string, value: string): unknown;
}

@ApiTags('tasks')
@Controller('v1/tasks')
export class TaskApiController {
  readonly #acceptTask: AcceptTask;
  readonly #recordRequest: RecordRequest;

  constructor(@Inject(AcceptTask) acceptTask: AcceptTask, @Inject(RecordRequest) recordRequest: RecordRequest) {
    this.#acceptTask = acceptTask;
    this.#recordRequest = recordRequest;
  }

  @Post()
  @HttpCode(202)
  @ApiOperation({ operationId: 'submitTask', summary: 'Submit a task', description: 'Answered after the log acknowledged the record; the receipt says where it stands.' })
  @ApiHeader({ name: 'Idempotency-Key', required: false, schema: { type: 'string', minLength: 1, maxLength: 255 }, description: 'The same key and content is the same task' })
  @ApiBody({ schema: taskRequestBody })
  @ApiResponse({ status: 202, description: 'Accepted and recorded', standardSchema: acceptedTaskSchema })
  async submit(@Req() request: ApiRequest, @Res({ passthrough: true }) response: ApiResponse): Promise<object> {
    const idempotencyKey = idempotencyKeyOf(request);
    const result = await this.#acceptTask.accept({
      request: request.body,
      submitter: request.callerName ?? 'anonymous',
      client: request.callerName ?? request.ip,
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      trace: traceContextOf(request.headers.traceparent),
    });
    if (result.type !== 'accepted') throw problemOf(result);
    response.header('Location', `/v1/tasks/${result.id}`);
    if (result.replayed) response.header('Idempotency-Replayed', 'true');
    return { id: result.id, type: result.taskType, receipt: result.receipt };
  }

  @Post(':id/cancel')
  @HttpCode(202)
  @ApiOperation({ operationId: 'requestCancellation', summary: 'Ask for a task to be cancelled', description: 'The request is recorded; the decision follows as an event.' })
  @ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } })
  @ApiBody({ schema: reasonBody })
  @ApiResponse({ status: 202, description: 'The request is recorded', standardSchema: recordedRequestSchema })
  cancel(@Param('id') id: string, @Req() request: ApiRequest): Promise<object> {
    return this.#record('TaskCancellationRequested', id, request);
  }

  @Post(':id/retry')
  @HttpCode(202)
  @ApiOperation({ operationId: 'requestRetry', summary: 'Ask for an ended task to be tried again', description: 'The request is recorded; the decision follows as an event.' })
  @ApiParam({ name: 'id', schema: { type: 'string', format: 'uuid' } })
  @ApiBody({ schema: reasonBody })
  @ApiResponse({ status: 202, description: 'The request is recorded', standardSchema: recordedRequestSchema })
  retry(@Param('id') id: string, @Req() request: ApiRequest): Promise<object> {
    return this.#record('TaskRetryRequested', id, request);
  }

  async #record(type: 'TaskCancellationRequested' | 'TaskRetryRequested', taskId: string, request: ApiRequest): Promise<object> {
    if (!isTaskId(taskId)) throw noSuchTask();
    const result = await this.#recordRequest.record(type, taskId, request.body, request.callerName ?? 'anonymous', traceContextOf(request.headers.traceparent));
    if (result.type !== 'recorded') throw problemOf(result);
    const { id, requestEventId, receipt } = result;
    return { id, requestEventId, receipt };
  }
}

function noSuchTask(): Problem {
  return new Problem({ status: 404, code: 'not-found', title: 'Not found', detail: 'No task has such an id: task ids are UUIDs in lower case.' });
}

/** Node joins repeated headers with a comma, which would make two keys look like a third one. */
function idempotencyKeyOf({ headers, raw }: ApiRequest): string | undefined {
  const key = headers['idempotency-key'];
  if (typeof key !== 'string') return undefined;
  const isRepeated = key.includes(',') && raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'idempotency-key').length > 1;
  return isRepeated ? '' : key;
}
