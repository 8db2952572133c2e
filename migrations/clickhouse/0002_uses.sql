-- What calls of models took, one row per call. Rows may be written twice; the engine keeps one of those with the same key,
-- and queries say FINAL.

CREATE TABLE IF NOT EXISTS use_records (
    -- The call.
    call_id String,
    -- When it came.
    at DateTime64(6, 'UTC'),
    -- The customer.
    tenant LowCardinality(String),
    -- The name of the key; empty without keys.
    key_name LowCardinality(String),
    -- The person or program, if it was told.
    user_name String,
    -- The pipeline that asked, if one did.
    pipeline LowCardinality(String),
    -- The run that asked, if one did.
    run_id String,
    -- The class of the task, if it was told.
    task LowCardinality(String),
    -- The model as it was asked for.
    asked LowCardinality(String),
    -- The deployment that answered; empty if none did.
    deployment LowCardinality(String),
    -- Its provider.
    provider LowCardinality(String),
    -- The model that answered.
    model LowCardinality(String),
    -- How often a provider was called.
    attempts UInt32,
    -- Whether the cache had a part: off, miss, exact, semantic, example.
    cache LowCardinality(String),
    -- Tokens of the request.
    input UInt64,
    -- Tokens of the answer.
    output UInt64,
    -- Of the request's tokens: read from the provider's own cache.
    cached UInt64,
    -- Of the request's tokens: written to the provider's own cache.
    cache_written UInt64,
    -- Of the answer's tokens: reasoning that is not shown.
    reasoning UInt64,
    -- The cost, in millionths of the currency of the price table.
    micros UInt64,
    -- From the request to the end of the answer, in microseconds.
    took_us UInt64,
    -- Of it, in the gateway itself.
    overhead_us UInt64,
    -- To the first piece of a stream; 0 where the answer came whole.
    first_us UInt64,
    -- The code of the error; empty without one.
    error LowCardinality(String)
) ENGINE = ReplacingMergeTree
ORDER BY (tenant, at, call_id)
TTL toDateTime(at) + INTERVAL 400 DAY;
