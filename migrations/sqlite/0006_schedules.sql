-- What schedules have done, so that moments that passed while nothing watched can be caught up.

CREATE TABLE schedules (
    -- The pipeline.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- Which of its triggers, from 0.
    trigger_index INTEGER NOT NULL CHECK (trigger_index >= 0),
    -- Moments up to this one are dealt with: fired, or passed over on purpose.
    through INTEGER NOT NULL,
    -- The last run it made.
    last_run BLOB,
    PRIMARY KEY (pipeline, trigger_index)
) STRICT;
