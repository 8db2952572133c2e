-- The tasks of runs. Every change is guarded by the state and attempt it started from; the attempt is
-- the fencing token. Ready rows are the outbox: a ticket that got lost is written again from them.

CREATE TABLE tasks (
    -- The run.
    run_id UUID NOT NULL REFERENCES runs (id),
    -- Its place in the plan, from 0.
    ordinal BIGINT NOT NULL CHECK (ordinal >= 0),
    -- Its name in the definition.
    name TEXT NOT NULL CHECK (name <> ''),
    -- Where it is in its life.
    state TEXT NOT NULL CHECK (state IN ('blocked', 'ready', 'running', 'waiting', 'succeeded', 'failed',
                                         'cancelled', 'skipped', 'upstream_failed')),
    -- The current attempt, 0 before the first; grows with every offer and never falls.
    attempt BIGINT NOT NULL CHECK (attempt >= 0),
    -- The worker that holds it; exactly while it is running.
    owner TEXT,
    -- When the worker's hold ends without a heartbeat; exactly while it is running.
    lease_until BIGINT,
    -- When it is looked at again; exactly while it is waiting.
    wake_at BIGINT,
    -- Attempts that reported failure since the run began or was resumed.
    failures BIGINT NOT NULL CHECK (failures >= 0),
    -- Attempts whose worker was lost since the run began or was resumed.
    crashes BIGINT NOT NULL CHECK (crashes >= 0),
    -- Tasks before it that have not finished.
    up_pending BIGINT NOT NULL CHECK (up_pending >= 0),
    -- Tasks before it that succeeded.
    up_succeeded BIGINT NOT NULL CHECK (up_succeeded >= 0),
    -- Tasks before it that failed or could not run because others failed.
    up_failed BIGINT NOT NULL CHECK (up_failed >= 0),
    -- Tasks before it that were skipped.
    up_skipped BIGINT NOT NULL CHECK (up_skipped >= 0),
    -- What the definition says about tries and conditions, as JSON.
    policy TEXT NOT NULL,
    -- The worker queue it goes to.
    queue TEXT NOT NULL CHECK (queue <> ''),
    -- Its place among ready tasks: 0 high, 1 normal, 2 low.
    priority BIGINT NOT NULL CHECK (priority BETWEEN 0 AND 2),
    -- When its ticket was last sent; exactly while it is ready.
    offered_at BIGINT,
    -- When it first became ready, before any wait or retry.
    ready_at BIGINT,
    -- When the current or last attempt began.
    started_at BIGINT,
    -- When it ended.
    finished_at BIGINT,
    -- What it produced, as JSON: a manifest, a result, a receipt or a report.
    output TEXT,
    -- Why its last failed attempt failed, as JSON.
    error TEXT,
    -- Why it waits or was skipped.
    reason TEXT,
    PRIMARY KEY (run_id, ordinal),
    CHECK ((state = 'running') = (owner IS NOT NULL)),
    CHECK ((state = 'running') = (lease_until IS NOT NULL)),
    CHECK ((state = 'waiting') = (wake_at IS NOT NULL)),
    CHECK ((state = 'ready') = (offered_at IS NOT NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled', 'skipped', 'upstream_failed')) = (finished_at IS NOT NULL)),
    CHECK (state NOT IN ('ready', 'running', 'waiting', 'succeeded', 'failed') OR attempt > 0),
    CHECK (state NOT IN ('ready', 'running', 'waiting') OR up_pending = 0)
) WITH (fillfactor = 70);

-- The outbox.
CREATE INDEX tasks_ready ON tasks (offered_at) WHERE state = 'ready';
-- Leases that are over.
CREATE INDEX tasks_leased ON tasks (lease_until) WHERE state = 'running';
-- What one worker holds.
CREATE INDEX tasks_owned ON tasks (owner) WHERE owner IS NOT NULL;
-- Sleepers whose time has come.
CREATE INDEX tasks_waiting ON tasks (wake_at) WHERE state = 'waiting';

-- Which task of a run waits for which.
CREATE TABLE edges (
    -- The run.
    run_id UUID NOT NULL REFERENCES runs (id),
    -- The task that must finish first.
    from_ordinal BIGINT NOT NULL CHECK (from_ordinal >= 0),
    -- The task that waits for it.
    to_ordinal BIGINT NOT NULL CHECK (to_ordinal >= 0),
    PRIMARY KEY (run_id, from_ordinal, to_ordinal),
    CHECK (from_ordinal <> to_ordinal)
);

-- What a task reads, when it is claimed.
CREATE INDEX edges_back ON edges (run_id, to_ordinal, from_ordinal);
