-- Runs. Whoever changes a run or its tasks locks the row here first, so its counters are exact.

CREATE TABLE runs (
    -- UUID version 7, made by who asked for the run; sorts by creation.
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    -- The pipeline.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- The version that runs, whatever becomes active later.
    version TEXT NOT NULL REFERENCES versions (id),
    -- Where it is in its life.
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    -- What made it: manual, cron, api, ask.
    trigger_kind TEXT NOT NULL CHECK (trigger_kind <> ''),
    -- Names the cause; the same cause told twice makes one run. None for runs that people start.
    trigger_key TEXT,
    -- What the cause said, as JSON, for templates.
    trigger_data TEXT NOT NULL,
    -- Parameters, bound and typed, as JSON.
    params TEXT NOT NULL,
    -- First moment of the stretch of time it stands for.
    interval_start INTEGER,
    -- First moment after that stretch.
    interval_end INTEGER,
    -- How many runs of the pipeline may run at once, as its version says.
    max_runs INTEGER NOT NULL CHECK (max_runs >= 0),
    -- What happens when that many run already, as its version says.
    on_overlap TEXT NOT NULL CHECK (on_overlap IN ('queue', 'skip', 'cancel_running', 'allow')),
    -- How many tasks it has.
    tasks_total INTEGER NOT NULL CHECK (tasks_total >= 0),
    -- How many of them have not finished.
    tasks_left INTEGER NOT NULL CHECK (tasks_left BETWEEN 0 AND tasks_total),
    -- How many of them failed by themselves.
    tasks_failed INTEGER NOT NULL CHECK (tasks_failed BETWEEN 0 AND tasks_total),
    -- Why it was cancelled.
    reason TEXT,
    -- When it was accepted.
    created_at INTEGER NOT NULL,
    -- When it first got its place.
    started_at INTEGER,
    -- When it ended.
    finished_at INTEGER,
    UNIQUE (pipeline, trigger_key),
    CHECK ((interval_start IS NULL) = (interval_end IS NULL)),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)),
    CHECK (state NOT IN ('running', 'succeeded', 'failed') OR started_at IS NOT NULL),
    CHECK (state NOT IN ('succeeded', 'failed', 'cancelled') OR tasks_left = 0),
    CHECK (state <> 'succeeded' OR tasks_failed = 0),
    CHECK (state <> 'failed' OR tasks_failed > 0)
) STRICT;

-- Counting the running ones and finding the oldest queued one of a pipeline.
CREATE INDEX runs_by_state ON runs (pipeline, state, created_at);
-- Listing the runs of one pipeline, newest first.
CREATE INDEX runs_by_pipeline ON runs (pipeline, id);
