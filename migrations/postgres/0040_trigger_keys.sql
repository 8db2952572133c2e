-- Causes that have a name: a webhook's event, an idempotency key. The row is written with the run, so a cause that
-- is told a thousand times makes one run; when its time is over, the name is free again.

CREATE TABLE trigger_keys (
    -- The pipeline.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- The cause, with its kind in front.
    key TEXT NOT NULL CHECK (key <> ''),
    -- Hash of what was asked for, where another request with the same key must be refused.
    request TEXT,
    -- The run that it made.
    run_id UUID NOT NULL,
    -- Until when the key finds this run.
    kept_until BIGINT NOT NULL,
    PRIMARY KEY (pipeline, key)
);

-- Keys whose time is over.
CREATE INDEX trigger_keys_by_end ON trigger_keys (kept_until);
