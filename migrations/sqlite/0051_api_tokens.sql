-- Tokens of the API. The secret itself is shown once and stored nowhere; what is stored cannot be turned back into it.

CREATE TABLE api_tokens (
    -- The part of the token that may be shown, to recognise and find it.
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 12),
    -- What people call it; one token at a time has a name.
    name TEXT NOT NULL CHECK (name <> ''),
    -- What it may do: read, run or admin.
    role TEXT NOT NULL CHECK (role IN ('read', 'run', 'admin')),
    -- SHA-256 of the secret, in hexadecimal.
    hash TEXT NOT NULL CHECK (length(hash) = 64),
    -- When it was made.
    created_at INTEGER NOT NULL,
    -- When it ends by itself; never if unset.
    expires_at INTEGER,
    -- When it was last used, to the minute.
    last_used_at INTEGER,
    -- When somebody ended it.
    revoked_at INTEGER
) STRICT;

-- One living token per name.
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked_at IS NULL;
