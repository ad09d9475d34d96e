import { expect, it } from 'vitest';
import { eventsParameters, listParameters, logParameters, takeParameters, taskParameters } from './parameters.ts';

it('fills in what is absent', () => {
  expect(taskParameters({})).toEqual({ waitMs: 0 });
  expect(eventsParameters({})).toEqual({ limit: 1_000, skip: 0 });
  expect(listParameters({})).toEqual({ q: '', cursor: null, limit: 50 });
  expect(logParameters({})).toEqual({ partition: 0, offset: 0, limit: 100 });
});

it('reads a moment as an instant or as the number of an event', () => {
  expect(taskParameters({ asOf: '3' })).toEqual({ moment: { events: 3 } });
  expect(taskParameters({ asOf: '2026-01-31T09:00:00.5+01:00' })).toEqual({ moment: { instantMs: Date.UTC(2026, 0, 31, 8, 0, 0, 500) } });
});

it.each([
  [() => listParameters({ limit: '0' }), 'limit must be a whole number from 1 to 1000'],
  [() => listParameters({ limit: '1001' }), 'limit must be'],
  [() => listParameters({ limit: 'ten' }), 'limit must be'],
  [() => listParameters({ lmit: '5' }), "lmit is not known here: did you mean 'limit'?"],
  [() => listParameters({ q: ['a', 'b'] }), 'q must stand once'],
  [() => taskParameters({ wait: '60001' }), 'wait must be a whole number from 0 to 60000'],
  [() => taskParameters({ wait: '1', asOf: '1' }), 'wait cannot stand together with asOf'],
  [() => taskParameters({ asOf: 'yesterday' }), 'asOf must be an instant such as'],
  [() => logParameters({ offset: '-1' }), 'offset must be a whole number'],
  [() => takeParameters({ x: '1' }, []), 'this call takes none'],
])('refuses, naming the parameter and the rule (%#)', (read, rule) => {
  expect(read).toThrow(expect.objectContaining({ status: 400, code: 'invalid-parameter', detail: expect.stringContaining(rule) }));
});
