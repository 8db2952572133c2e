-- What tasks print. Rows become visible in the order of their ids, so a reader that remembers the last
-- id it saw misses nothing.

CREATE TABLE logs (
    -- The reader's cursor.
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The run.
    run_id UUID NOT NULL,
    -- The task.
    ordinal BIGINT NOT NULL,
    -- The attempt that printed it.
    attempt BIGINT NOT NULL,
    -- Counts from 1 within the attempt; a line told twice is stored once.
    seq BIGINT NOT NULL,
    -- When it was printed.
    at BIGINT NOT NULL,
    -- Where it came from.
    stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr', 'system')),
    -- The text without its line end.
    text TEXT NOT NULL,
    UNIQUE (run_id, ordinal, attempt, seq)
);

-- One run's lines in order.
CREATE INDEX logs_by_run ON logs (run_id, id);
