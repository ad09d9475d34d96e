import { qualified, type SchemaPart } from './postgres-schema.ts';

/** Calls of one batch, answered in one statement. Its name changes with its meaning, so that versions can run side by side. */
export const applyClaims = 'apply_claims_v1';

export const claimsPart: SchemaPart = {
  part: 'claims',
  version: 1,
  define: (schema) => `${tables(schema)}; ${applyFunction(schema)}`,
};

/**
 * One row per attempt. Ids compare bytewise (`"C"`), so that every process locks in the same order. Pages are not
 * filled, since a row is written two or three times within seconds.
 */
function tables(schema: string): string {
  const claims = qualified(schema, 'claims');
  return `
    CREATE TABLE IF NOT EXISTS ${claims} (
      task_id text COLLATE "C" NOT NULL,
      log_identity text COLLATE "C" NOT NULL,
      attempt integer NOT NULL,
      execution_id text,             -- NULL after a release: nobody holds the attempt
      worker_id text NOT NULL,
      lease_until timestamptz NOT NULL,
      deaths integer NOT NULL,
      touched_at timestamptz NOT NULL,
      completed boolean,             -- the outcome, from here on
      event_id text,
      record_head text,              -- JSON [key, headers]
      record_value bytea,
      PRIMARY KEY (task_id, log_identity, attempt)
    ) WITH (fillfactor = 80);
    CREATE UNIQUE INDEX IF NOT EXISTS claims_one_completion ON ${claims} (task_id, log_identity) WHERE completed`;
}

/**
 * The rules of the port, once for each call, in the order of the rows' keys: whoever waits for a row holds only rows
 * that come before it, so nobody waits in a circle.
 *
 * Each statement inside sees what is committed when it begins. The call's own row is locked before it is judged; of
 * other rows of the task only two things count, that they exist and that one is completed, and neither is ever taken
 * back. So each call comes before or after every other one on its task. Two attempts that complete at once are told
 * apart by the unique index: the second batch fails as a whole, and runs again.
 */
function applyFunction(schema: string): string {
  const claims = qualified(schema, 'claims');
  const ofTask = 'task_id = asked.task_id AND log_identity = log';
  const ofAttempt = `${ofTask} AND attempt = asked.attempt`;
  return `
    CREATE OR REPLACE FUNCTION ${qualified(schema, applyClaims)}(log text, calls json) RETURNS TABLE (
      place integer, answer text, earlier_deaths integer, remaining_ms double precision,
      outcome_completed boolean, outcome_event_id text, outcome_head text, outcome_value bytea)
    LANGUAGE plpgsql AS $function$
    #variable_conflict use_column
    DECLARE
      asked record;
      own ${claims}%ROWTYPE;
      decided ${claims}%ROWTYPE;
      moment timestamptz;
    BEGIN
      -- Until the end of this transaction, whatever the role or the session has set: the answer must survive a crash.
      IF set_config('synchronous_commit', 'on', true) <> 'on' THEN RAISE 'synchronous_commit cannot be turned on'; END IF;
      FOR asked IN
        SELECT * FROM json_to_recordset(calls) AS call (
          place integer, kind text, task_id text, attempt integer, execution_id text, worker_id text, lease_ms double precision,
          completed boolean, event_id text, head text, value text)
        ORDER BY task_id COLLATE "C", attempt, place
      LOOP
        answer := NULL;
        earlier_deaths := NULL;
        remaining_ms := NULL;
        decided := NULL;
        ${claimRules(claims, ofTask, ofAttempt)}
        ${storeRules(claims, ofTask, ofAttempt)}
        IF asked.kind = 'renew' THEN
          UPDATE ${claims} SET lease_until = clock_timestamp() + asked.lease_ms * interval '1 millisecond', touched_at = clock_timestamp()
            WHERE ${ofAttempt} AND execution_id = asked.execution_id AND event_id IS NULL;
          answer := CASE WHEN FOUND THEN 'held' ELSE 'lost' END;
        ELSIF asked.kind = 'release' THEN
          UPDATE ${claims} SET execution_id = NULL WHERE ${ofAttempt} AND execution_id = asked.execution_id AND event_id IS NULL;
          answer := 'released';
        END IF;
        place := asked.place;
        outcome_completed := decided.completed;
        outcome_event_id := decided.event_id;
        outcome_head := decided.record_head;
        outcome_value := decided.record_value;
        RETURN NEXT;
      END LOOP;
    END $function$`;
}

function claimRules(claims: string, ofTask: string, ofAttempt: string): string {
  const overrides = `${ofTask} AND (completed OR attempt > asked.attempt)`;
  return `
        IF asked.kind = 'claim' THEN
          -- The usual case: nobody has asked for this attempt before.
          INSERT INTO ${claims} (task_id, log_identity, attempt, execution_id, worker_id, lease_until, deaths, touched_at)
            SELECT asked.task_id, log, asked.attempt, asked.execution_id, asked.worker_id,
              clock_timestamp() + asked.lease_ms * interval '1 millisecond', 0, clock_timestamp()
            WHERE NOT EXISTS (SELECT FROM ${claims} WHERE ${overrides})
            ON CONFLICT DO NOTHING;
          IF FOUND THEN
            answer := 'claimed';
            earlier_deaths := 0;
          ELSE
            -- A completion of any attempt wins, then a later attempt.
            SELECT * INTO decided FROM ${claims} WHERE ${overrides} ORDER BY completed DESC NULLS LAST LIMIT 1;
            IF decided.completed THEN
              answer := 'finished';
            ELSIF FOUND THEN
              answer := 'superseded';
            ELSE
              SELECT * INTO STRICT own FROM ${claims} WHERE ${ofAttempt} FOR UPDATE;
              moment := clock_timestamp();
              IF own.event_id IS NOT NULL THEN
                answer := 'finished';
                decided := own;
              ELSIF own.execution_id <> asked.execution_id AND own.lease_until > moment THEN
                answer := 'held';
                remaining_ms := extract(epoch FROM own.lease_until - moment) * 1000;
              ELSE
                -- Its own claim, asked for again, or a released one, is no death.
                answer := 'claimed';
                earlier_deaths := own.deaths + CASE WHEN own.execution_id <> asked.execution_id THEN 1 ELSE 0 END;
                UPDATE ${claims} SET execution_id = asked.execution_id, worker_id = asked.worker_id, deaths = earlier_deaths,
                  lease_until = moment + asked.lease_ms * interval '1 millisecond', touched_at = moment
                  WHERE ${ofAttempt};
              END IF;
            END IF;
          END IF;
        END IF;`;
}

function storeRules(claims: string, ofTask: string, ofAttempt: string): string {
  return `
        IF asked.kind = 'store' THEN
          -- The usual case: the attempt is this execution's, or nobody's. A completion is taken from anybody.
          UPDATE ${claims} SET completed = asked.completed, event_id = asked.event_id, record_head = asked.head,
            record_value = decode(asked.value, 'base64'), touched_at = clock_timestamp()
            WHERE ${ofAttempt} AND event_id IS NULL AND (execution_id IS NULL OR execution_id = asked.execution_id OR asked.completed)
              AND NOT EXISTS (SELECT FROM ${claims} WHERE ${ofTask} AND completed);
          IF FOUND THEN
            answer := 'stored';
          ELSE
            SELECT * INTO decided FROM ${claims} WHERE ${ofTask} AND (completed OR (attempt = asked.attempt AND event_id IS NOT NULL))
              ORDER BY completed DESC LIMIT 1;
            IF decided.event_id = asked.event_id THEN
              answer := 'stored';
            ELSIF FOUND THEN
              answer := 'other-outcome';
            ELSIF EXISTS (SELECT FROM ${claims} WHERE ${ofAttempt}) THEN
              answer := 'superseded';
            ELSE
              -- It ran without a claim, or its claim was pruned.
              INSERT INTO ${claims} (task_id, log_identity, attempt, execution_id, worker_id, lease_until, deaths, touched_at,
                  completed, event_id, record_head, record_value)
                VALUES (asked.task_id, log, asked.attempt, asked.execution_id, '', clock_timestamp(), 0, clock_timestamp(),
                  asked.completed, asked.event_id, asked.head, decode(asked.value, 'base64'));
              answer := 'stored';
            END IF;
          END IF;
        END IF;`;
}
