-- The life of versions: draft, proposed, active, archived; who moved them; what was proved of them.

-- Where it is in its life; `pipelines.active_version` names the active one.
ALTER TABLE versions ADD COLUMN
    -- Where it is in its life.
    state TEXT NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'proposed', 'active', 'archived'));
ALTER TABLE versions ADD COLUMN
    -- The columns of its tasks and where they come from, as JSON; none if it was saved without being proved.
    shape TEXT;

UPDATE versions SET state = 'active' WHERE id IN (SELECT active_version FROM pipelines WHERE active_version IS NOT NULL);

-- At most one version of a pipeline is active.
CREATE UNIQUE INDEX versions_active ON versions (pipeline) WHERE state = 'active';

-- The audit trail of versions: one row per change of state, in the transaction of the change.
CREATE TABLE version_events (
    -- Grows with time.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The pipeline.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- The version that moved.
    version TEXT NOT NULL REFERENCES versions (id),
    -- When.
    at INTEGER NOT NULL,
    -- What happened, by the name of the event.
    event TEXT NOT NULL,
    -- The state before.
    from_state TEXT NOT NULL,
    -- The state after.
    to_state TEXT NOT NULL,
    -- Who did it: a token's name, a person at a terminal, a file.
    actor TEXT NOT NULL,
    CHECK (from_state <> to_state)
) STRICT;

-- One pipeline's history, newest first.
CREATE INDEX version_events_by_pipeline ON version_events (pipeline, id);
