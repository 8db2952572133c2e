-- Loads that succeeded, on their way to the triggers that watch them. A row is written with the end of its task, then
-- copied to every trigger that watches the data set and removed, in one transaction; so nothing gets lost or doubled.

CREATE TABLE dataset_updates (
    -- Names the load.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What was loaded: connection.table.
    dataset TEXT NOT NULL CHECK (dataset <> ''),
    -- The run that loaded.
    run_id BLOB NOT NULL,
    -- The task that loaded.
    ordinal INTEGER NOT NULL,
    -- How many rows it wrote.
    rows_written INTEGER,
    -- When the task ended.
    at INTEGER NOT NULL
) STRICT;

-- Loads that wait for a trigger to start its run. They are removed in the transaction that creates the run.
CREATE TABLE dataset_wakes (
    -- The pipeline to be woken.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- Which of its triggers, from 0.
    trigger_index INTEGER NOT NULL CHECK (trigger_index >= 0),
    -- The load.
    update_id INTEGER NOT NULL,
    -- What was loaded: connection.table.
    dataset TEXT NOT NULL,
    -- The run that loaded.
    run_id BLOB NOT NULL,
    -- The task that loaded, by its name.
    task TEXT NOT NULL,
    -- How many rows it wrote.
    rows_written INTEGER,
    -- How many runs in a row were woken by each other, up to and with the one that loaded.
    chain INTEGER NOT NULL CHECK (chain >= 0),
    -- When the load ended.
    at INTEGER NOT NULL,
    PRIMARY KEY (pipeline, trigger_index, update_id)
) STRICT;
