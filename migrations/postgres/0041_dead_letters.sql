-- Webhook deliveries that started no run although they should have, or that were not recognised. Signatures and other
-- headers that may hold secrets are not stored. Only the newest of each pipeline are kept.

CREATE TABLE dead_letters (
    -- Grows with time.
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The pipeline it was for.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- The trigger it was for, by its name or place.
    hook TEXT NOT NULL,
    -- When it came.
    at BIGINT NOT NULL,
    -- Whether its sender was recognised.
    kind TEXT NOT NULL CHECK (kind IN ('refused', 'failed')),
    -- Public code of what was wrong.
    code TEXT NOT NULL,
    -- What was wrong.
    reason TEXT NOT NULL,
    -- Its headers as JSON, without those that may hold secrets.
    headers TEXT NOT NULL,
    -- The beginning of its body.
    body TEXT NOT NULL,
    -- How long its body was, in bytes.
    body_bytes BIGINT NOT NULL CHECK (body_bytes >= 0),
    -- 1 if the body is stored as it came, so that it can be replayed; else 0.
    whole BIGINT NOT NULL CHECK (whole IN (0, 1)),
    -- When it was replayed with success.
    replayed_at BIGINT,
    -- The run that the replay made.
    run_id UUID,
    CHECK ((replayed_at IS NULL) = (run_id IS NULL))
);

-- The newest of a pipeline.
CREATE INDEX dead_letters_by_pipeline ON dead_letters (pipeline, kind, id);
