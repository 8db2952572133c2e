-- Loads that succeeded, on their way to the triggers that watch them. A row is written with the end of its task, then
-- copied to every trigger that watches the data set and removed, in one transaction; so nothing gets lost or doubled.

CREATE TABLE dataset_updates (
    -- Names the load.
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What was loaded: connection.table.
    dataset TEXT NOT NULL CHECK (dataset <> ''),
    -- The run that loaded.
    run_id UUID NOT NULL,
    -- The task that loaded.
    ordinal BIGINT NOT NULL,
    -- How many rows it wrote.
    rows_written BIGINT,
    -- When the task ended.
    at BIGINT NOT NULL
);

-- Loads that wait for a trigger to start its run. They are removed in the transaction that creates the run.
CREATE TABLE dataset_wakes (
    -- The pipeline to be woken.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- Which of its triggers, from 0.
    trigger_index BIGINT NOT NULL CHECK (trigger_index >= 0),
    -- The load.
    update_id BIGINT NOT NULL,
    -- What was loaded: connection.table.
    dataset TEXT NOT NULL,
    -- The run that loaded.
    run_id UUID NOT NULL,
    -- The task that loaded, by its name.
    task TEXT NOT NULL,
    -- How many rows it wrote.
    rows_written BIGINT,
    -- How many runs in a row were woken by each other, up to and with the one that loaded.
    chain BIGINT NOT NULL CHECK (chain >= 0),
    -- When the load ended.
    at BIGINT NOT NULL,
    PRIMARY KEY (pipeline, trigger_index, update_id)
);
