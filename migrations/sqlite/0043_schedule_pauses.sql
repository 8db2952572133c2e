-- Schedules are paused one by one. What passes meanwhile is missed, and dealt with as `catch_up` says when the schedule goes
-- on.

-- Since when it is paused; none while it fires.
ALTER TABLE schedules ADD COLUMN paused_at INTEGER;
