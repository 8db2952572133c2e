-- The audit trail: one row per change of state of a run or of one of its tasks, written in the same
-- transaction as the change. It names no foreign key, so that history never stands in the way of a change.

CREATE TABLE events (
    -- Grows with time within one run.
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The run.
    run_id UUID NOT NULL,
    -- The task; none where the run itself moved.
    ordinal BIGINT,
    -- The attempt after the move; 0 for runs.
    attempt BIGINT NOT NULL,
    -- When.
    at BIGINT NOT NULL,
    -- What happened, by the name of the event.
    event TEXT NOT NULL,
    -- The state before.
    from_state TEXT NOT NULL,
    -- The state after.
    to_state TEXT NOT NULL,
    -- The worker it concerns.
    owner TEXT,
    -- What else is worth knowing, as JSON: an error, a reason, a wake-up time.
    detail TEXT,
    CHECK (from_state <> to_state)
);

-- One run's history in order.
CREATE INDEX events_by_run ON events (run_id, id);
