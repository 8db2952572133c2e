-- Pipelines and every version of their definitions. Versions are never changed or removed: a run that
-- finished years ago can still say what it ran. All times in this schema are microseconds since 1970 in UTC.

CREATE TABLE pipelines (
    -- The name from the definition.
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    -- The version that schedules and bare names run; none until one was activated.
    active_version TEXT,
    -- When the first version was saved.
    created_at BIGINT NOT NULL
);

CREATE TABLE versions (
    -- Content hash of the definition: the same definition saved twice is one version.
    id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    -- Whose version it is.
    pipeline TEXT NOT NULL REFERENCES pipelines (name),
    -- Counts from 1 within the pipeline, for people.
    number BIGINT NOT NULL CHECK (number > 0),
    -- The text as it was written, comments and all.
    source TEXT NOT NULL,
    -- The same definition as JSON, which is what runs.
    definition TEXT NOT NULL,
    -- Where it came from, as JSON: a file, a person, a request with its provenance.
    origin TEXT NOT NULL,
    -- When it was first saved.
    created_at BIGINT NOT NULL,
    UNIQUE (pipeline, number)
);
