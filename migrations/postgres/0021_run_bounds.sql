-- What bounds a run: the task of another run that waits for it, and time.

-- The run that started it by a task of kind `run` and waits for its end.
ALTER TABLE runs ADD COLUMN parent_run UUID;

-- The place of that task.
ALTER TABLE runs ADD COLUMN parent_ordinal BIGINT CHECK ((parent_ordinal IS NULL) = (parent_run IS NULL));

-- How many runs started each other up to this one.
ALTER TABLE runs ADD COLUMN depth BIGINT NOT NULL DEFAULT 0 CHECK (depth >= 0);

-- How long it may take, in microseconds, from when it is accepted or resumed.
ALTER TABLE runs ADD COLUMN timeout BIGINT CHECK (timeout > 0);

-- When it is stopped if it has not ended.
ALTER TABLE runs ADD COLUMN deadline_at BIGINT;

-- When it counts as late if it has not ended; none once that was noticed.
ALTER TABLE runs ADD COLUMN late_at BIGINT;

-- Since when it is late.
ALTER TABLE runs ADD COLUMN late_since BIGINT;

-- The runs that one run started.
CREATE INDEX runs_children ON runs (parent_run) WHERE parent_run IS NOT NULL;
-- Runs whose time may be over.
CREATE INDEX runs_deadlines ON runs (deadline_at) WHERE deadline_at IS NOT NULL AND finished_at IS NULL;
-- Runs that may be late.
CREATE INDEX runs_late ON runs (late_at) WHERE late_at IS NOT NULL AND finished_at IS NULL;
