-- The processes that take tasks. They write their own rows; nothing is decided by them, since leases are what says
-- who holds a task. They answer who is there, and since when somebody has not been heard of.

CREATE TABLE workers (
    -- How the process names itself in leases; new with every start.
    id TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    -- The machine.
    host TEXT NOT NULL,
    -- The program's version.
    version TEXT NOT NULL,
    -- The queues it takes from, as a JSON array of names.
    queues TEXT NOT NULL,
    -- What its configuration says about it, as a JSON object of texts.
    labels TEXT NOT NULL,
    -- How many tasks it works on at the same time.
    slots BIGINT NOT NULL CHECK (slots > 0),
    -- Whether it takes no more tasks and ends when it is done: 0 or 1.
    draining BIGINT NOT NULL CHECK (draining IN (0, 1)),
    -- When it started.
    started_at BIGINT NOT NULL,
    -- When it was last heard of.
    seen_at BIGINT NOT NULL
);
