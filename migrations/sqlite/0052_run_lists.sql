-- Lists of runs by state stay short reads however many runs there are.

-- Runs in one state, newest first.
CREATE INDEX runs_by_state_and_id ON runs (state, id);
-- Runs of one pipeline in one state, newest first.
CREATE INDEX runs_by_pipeline_and_state ON runs (pipeline, state, id);
