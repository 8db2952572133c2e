-- Limits: pools, tenants, whose turn it is; and pipelines that are paused. What is held is never stored: it is what runs.

CREATE TABLE pools (
    -- The name that tasks use.
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    -- How many slots there are; with 0 nothing of it starts.
    slots INTEGER NOT NULL CHECK (slots >= 0),
    -- What it is for.
    description TEXT NOT NULL,
    -- When it was last changed.
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE tenants (
    -- The name that pipelines belong to.
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    -- How many of its tasks may run at once; no limit if none.
    max_tasks INTEGER CHECK (max_tasks >= 0),
    -- When it was last changed.
    updated_at INTEGER NOT NULL
) STRICT;

-- Who was let in last, so that those who share a limit take turns.
CREATE TABLE turns (
    -- The limit, as in `pool:gpu`.
    gate TEXT NOT NULL,
    -- The tenant that shares it.
    tenant TEXT NOT NULL,
    -- When one of its tasks was let in last.
    served_at INTEGER NOT NULL,
    PRIMARY KEY (gate, tenant)
) STRICT;

-- Whose pipeline it is.
ALTER TABLE pipelines ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
-- Since when no new runs start; none while it is not paused.
ALTER TABLE pipelines ADD COLUMN paused_at INTEGER;
-- Who paused it and why, in words.
ALTER TABLE pipelines ADD COLUMN paused_reason TEXT;

-- Whose run it is, as its pipeline's was when it was created.
ALTER TABLE runs ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
-- Who asked for it, as text.
ALTER TABLE runs ADD COLUMN started_by TEXT;
-- Its place among the queued runs of its pipeline: 0 high, 1 normal, 2 low.
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 2);
-- The run that it does again with another version.
ALTER TABLE runs ADD COLUMN rerun_of BLOB;

-- The pool whose slots it takes.
ALTER TABLE tasks ADD COLUMN pool TEXT;
-- How many of them.
ALTER TABLE tasks ADD COLUMN pool_slots INTEGER NOT NULL DEFAULT 1 CHECK (pool_slots > 0);
-- Whose task it is, as its run's.
ALTER TABLE tasks ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
-- Its pipeline, where that limits its tasks.
ALTER TABLE tasks ADD COLUMN lane TEXT;
-- How many tasks of that pipeline may run at once, as its version says.
ALTER TABLE tasks ADD COLUMN lane_slots INTEGER CHECK (lane_slots > 0);
-- The limit it waits for, ready but without a ticket.
ALTER TABLE tasks ADD COLUMN standby TEXT CHECK (standby IS NULL OR state = 'ready');
-- It waits for people to answer; what happens if they do not.
ALTER TABLE tasks ADD COLUMN asks TEXT CHECK (asks IS NULL OR (state = 'waiting' AND asks IN ('fail', 'skip', 'approve')));
-- How often it was run again after it had succeeded.
ALTER TABLE tasks ADD COLUMN reruns INTEGER NOT NULL DEFAULT 0 CHECK (reruns >= 0);

-- Who waits for a limit, in the order of turns.
CREATE INDEX tasks_standby ON tasks (standby, tenant, priority, ready_at, run_id, ordinal) WHERE standby IS NOT NULL;
-- Who holds slots of a pool.
CREATE INDEX tasks_pool ON tasks (pool, state) WHERE pool IS NOT NULL AND finished_at IS NULL;
-- Who holds slots of a pipeline.
CREATE INDEX tasks_lane ON tasks (lane, state) WHERE lane IS NOT NULL AND finished_at IS NULL;
-- Open questions.
CREATE INDEX tasks_asking ON tasks (wake_at) WHERE asks IS NOT NULL;

-- What people were asked. A question is open while its task waits for it at the same attempt.
CREATE TABLE approvals (
    -- The run.
    run_id BLOB NOT NULL REFERENCES runs (id),
    -- The task that asks.
    ordinal INTEGER NOT NULL,
    -- The attempt that asked.
    attempt INTEGER NOT NULL,
    -- What is asked, in words.
    message TEXT NOT NULL,
    -- What is to be approved, as JSON.
    subject TEXT NOT NULL,
    -- Who may answer, as a JSON list of names and roles; anybody if it is empty.
    approvers TEXT NOT NULL,
    -- How many different people must approve.
    required INTEGER NOT NULL CHECK (required > 0),
    -- Who must not answer.
    excluded TEXT,
    -- When it was asked.
    asked_at INTEGER NOT NULL,
    -- When it runs out.
    expires_at INTEGER NOT NULL,
    -- What happens then.
    on_expiry TEXT NOT NULL CHECK (on_expiry IN ('fail', 'skip', 'approve')),
    PRIMARY KEY (run_id, ordinal, attempt)
) STRICT;

-- What people answered; never changed or removed.
CREATE TABLE answers (
    -- The run.
    run_id BLOB NOT NULL,
    -- The task that asked.
    ordinal INTEGER NOT NULL,
    -- The attempt that asked.
    attempt INTEGER NOT NULL,
    -- Who answered: a name, until identities come.
    who TEXT NOT NULL CHECK (who <> ''),
    -- Their roles, as a JSON list.
    roles TEXT NOT NULL,
    -- 1 for yes, 0 for no.
    approve INTEGER NOT NULL CHECK (approve IN (0, 1)),
    -- Why.
    reason TEXT,
    -- When.
    at INTEGER NOT NULL,
    PRIMARY KEY (run_id, ordinal, attempt, who),
    FOREIGN KEY (run_id, ordinal, attempt) REFERENCES approvals (run_id, ordinal, attempt)
) STRICT;
