-- What runs and tasks cost in time, one row per run, per attempt and per wait. Rows may be written twice; the engine
-- keeps one of those with the same key, and queries say FINAL.

CREATE TABLE IF NOT EXISTS run_records (
    -- The run.
    run_id String,
    -- Its pipeline.
    pipeline LowCardinality(String),
    -- What made it: manual, cron, api, …
    trigger_kind LowCardinality(String),
    -- How it ended: succeeded, failed, cancelled.
    state LowCardinality(String),
    -- When it ended.
    finished_at DateTime64(6, 'UTC'),
    -- From its acceptance to its beginning, in milliseconds.
    wait_ms UInt64,
    -- From its beginning to its end, in milliseconds.
    duration_ms UInt64,
    -- How many tasks it has.
    tasks UInt32,
    -- How many of them failed.
    failed UInt32
) ENGINE = ReplacingMergeTree
ORDER BY (pipeline, finished_at, run_id)
TTL toDateTime(finished_at) + INTERVAL 400 DAY;

CREATE TABLE IF NOT EXISTS task_records (
    -- The run.
    run_id String,
    -- Its pipeline.
    pipeline LowCardinality(String),
    -- The task.
    task LowCardinality(String),
    -- Its place in the plan.
    ordinal UInt32,
    -- The attempt.
    attempt UInt32,
    -- What the attempt came to: succeeded, failed, waiting, ready, …
    state LowCardinality(String),
    -- The queue that it went through.
    queue LowCardinality(String),
    -- The worker that had it.
    worker String,
    -- When the attempt ended.
    finished_at DateTime64(6, 'UTC'),
    -- From its beginning to its end, in milliseconds.
    duration_ms UInt64,
    -- The code of its failure; empty without one.
    error LowCardinality(String)
) ENGINE = ReplacingMergeTree
ORDER BY (pipeline, finished_at, run_id, ordinal, attempt)
TTL toDateTime(finished_at) + INTERVAL 400 DAY;

CREATE TABLE IF NOT EXISTS wait_records (
    -- The run.
    run_id String,
    -- Its pipeline.
    pipeline LowCardinality(String),
    -- The task.
    task LowCardinality(String),
    -- Its place in the plan.
    ordinal UInt32,
    -- The queue that it waited in.
    queue LowCardinality(String),
    -- When a worker took it.
    started_at DateTime64(6, 'UTC'),
    -- From when it could be taken until then, in milliseconds.
    wait_ms UInt64
) ENGINE = ReplacingMergeTree
ORDER BY (pipeline, started_at, run_id, ordinal)
TTL toDateTime(started_at) + INTERVAL 400 DAY;
