-- What tasks print. Rows become visible in the order of their ids, so a reader that remembers the last
-- id it saw misses nothing.

CREATE TABLE logs (
    -- The reader's cursor.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The run.
    run_id BLOB NOT NULL,
    -- The task.
    ordinal INTEGER NOT NULL,
    -- The attempt that printed it.
    attempt INTEGER NOT NULL,
    -- Counts from 1 within the attempt; a line told twice is stored once.
    seq INTEGER NOT NULL,
    -- When it was printed.
    at INTEGER NOT NULL,
    -- Where it came from.
    stream TEXT NOT NULL CHECK (stream IN ('stdout', 'stderr', 'system')),
    -- The text without its line end.
    text TEXT NOT NULL,
    UNIQUE (run_id, ordinal, attempt, seq)
) STRICT;

-- One run's lines in order.
CREATE INDEX logs_by_run ON logs (run_id, id);
