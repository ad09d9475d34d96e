import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { hasCode } from '../domain/errors.ts';
import type { ProjectionControl } from './projection-control.ts';
import { diaryUnavailable } from './query-problem.ts';
import {
  eventsParameters,
  listParameters,
  logParameters,
  takeParameters,
  taskParameters,
  type RawParameters,
} from './queries/parameters.ts';
import { TaskQueries } from './queries/task-queries.ts';

/** Under which the module provides the projector, or the host of its thread. */
export const projectionControlToken = Symbol('ProjectionControl');

/** The part of the HTTP request that is used: whether the client still waits. */
interface WaitingRequest {
  readonly raw: { readonly socket: { once(event: 'close', listener: () => void): unknown; off(event: 'close', listener: () => void): unknown } };
}

@ApiTags('diary')
@Controller('v1')
export class DiaryController {
  readonly #tasks: TaskQueries;
  readonly #projections: ProjectionControl;

  constructor(@Inject(TaskQueries) tasks: TaskQueries, @Inject(projectionControlToken) projections: ProjectionControl) {
    this.#tasks = tasks;
    this.#projections = projections;
  }

  @Get('tasks')
  @ApiOperation({ summary: 'Tasks, newest first' })
  @ApiQuery({ name: 'q', required: false, description: 'state: type: worker: error:(fingerprint, code or name) batch: tag.NAME: since: age:> attempts:>' })
  @ApiQuery({ name: 'cursor', required: false, description: '`next` of the former page' })
  @ApiQuery({ name: 'limit', required: false, description: '1 to 1,000; default 50' })
  list(@Query() query: RawParameters) {
    return this.#tasks.list(listParameters(query));
  }

  @Get('tasks/:id')
  @ApiOperation({ summary: 'One task: its state, payload and result' })
  @ApiQuery({ name: 'asOf', required: false, description: "An instant, or the number of the task's event, counted from 1" })
  @ApiQuery({ name: 'wait', required: false, description: 'Milliseconds to wait for a final state, 0 to 60,000' })
  async get(@Param('id') id: string, @Query() query: RawParameters, @Req() { raw }: WaitingRequest) {
    const gone = new AbortController();
    const onClose = () => gone.abort();
    raw.socket.once('close', onClose);
    try {
      return await this.#tasks.get(id, taskParameters(query), gone.signal);
    } finally {
      raw.socket.off('close', onClose);
    }
  }

  @Get('tasks/:id/events')
  @ApiOperation({ summary: 'Every record of a task, by offset, with what became of it' })
  @ApiQuery({ name: 'cursor', required: false, description: '`next` of the former page' })
  @ApiQuery({ name: 'limit', required: false, description: '1 to 1,000; default 1,000' })
  events(@Param('id') id: string, @Query() query: RawParameters) {
    return this.#tasks.events(id, eventsParameters(query));
  }

  @Get('tasks/:id/attempts')
  @ApiOperation({ summary: 'Every execution of a task' })
  attempts(@Param('id') id: string, @Query() query: RawParameters) {
    takeParameters(query, []);
    return this.#tasks.attempts(id);
  }

  @Get('log')
  @ApiOperation({ summary: 'Raw records of the log; key and value in base64' })
  @ApiQuery({ name: 'partition', required: false, description: 'default 0' })
  @ApiQuery({ name: 'offset', required: false, description: 'the first record; default 0' })
  @ApiQuery({ name: 'limit', required: false, description: '1 to 1,000; default 100' })
  log(@Query() query: RawParameters) {
    return this.#tasks.log(logParameters(query));
  }

  @Get('projections')
  @ApiOperation({ summary: 'The read models: position, lag, digest, last rebuild' })
  async projections(@Query() query: RawParameters) {
    takeParameters(query, []);
    const items = await asProblem(this.#projections.projections());
    const positions = Object.entries(items[0]?.positions ?? {}).map(([partition, offset]) => [Number(partition), offset] as const);
    return { items, next: null, asOf: await this.#tasks.freshnessAt(new Map(positions)) };
  }

  @Post('projections/:name/rebuild')
  @HttpCode(202)
  @ApiOperation({ summary: 'Derives a read model from the log again, beside the live one, compares and swaps' })
  rebuild(@Param('name') name: string) {
    return asProblem(this.#projections.rebuild(name));
  }
}

/** A projector that cannot answer now is no fault of the request. */
async function asProblem<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    const isAway =
      hasCode(error, 'projection-unavailable') || hasCode(error, 'log-unavailable') || hasCode(error, 'projection-rebuilding');
    throw isAway ? diaryUnavailable(`${error.message}. Ask again shortly.`) : error;
  }
}
