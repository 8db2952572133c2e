-- The items of `for_each`. Each item is a task of the run like any other: it stands behind the tasks of the plan, and
-- an edge leads from it to the task whose item it is, which waits for its items and then collects what they gave.

-- For an item: the place of the task whose item it is.
ALTER TABLE tasks ADD COLUMN parent INTEGER CHECK (parent >= 0 AND parent < ordinal);

-- For an item: its place in the list, from 0.
ALTER TABLE tasks ADD COLUMN map_index INTEGER CHECK (map_index >= 0 AND (map_index IS NULL) = (parent IS NULL));

-- For an item: what stands there in the list, as JSON.
ALTER TABLE tasks ADD COLUMN item TEXT CHECK ((item IS NULL) = (parent IS NULL));

-- For a task with `for_each`: how many items it has, once its list is known.
ALTER TABLE tasks ADD COLUMN items INTEGER CHECK (items IS NULL OR (items > 0 AND parent IS NULL));

-- The items of one task, in order.
CREATE UNIQUE INDEX tasks_items ON tasks (run_id, parent, map_index) WHERE parent IS NOT NULL;
-- Items that wait for a place, in order.
CREATE INDEX tasks_held ON tasks (run_id, parent, ordinal) WHERE parent IS NOT NULL AND state = 'blocked';
-- The tasks of a plan without their items.
CREATE INDEX tasks_planned ON tasks (run_id, ordinal) WHERE parent IS NULL;
