-- Format 3: how pipelines stand that run, what commands ask of a run, and which databases the ends of a pipeline are.

CREATE TABLE conditions (
    pipeline                 TEXT PRIMARY KEY NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    -- What it waits for; both or none.
    waiting_for              TEXT,
    waiting_nanoseconds      INTEGER,
    -- Why the table follows its collection no more; both or none.
    detached_by              TEXT,
    detached_nanoseconds     INTEGER,
    -- The source's clock minus ours.
    source_ahead_nanoseconds INTEGER NOT NULL,
    -- The oldest change that the source still knows.
    oplog_nanoseconds        INTEGER,
    part_count               INTEGER,
    noted_nanoseconds        INTEGER NOT NULL,
    CHECK ((waiting_for IS NULL) = (waiting_nanoseconds IS NULL)),
    CHECK ((detached_by IS NULL) = (detached_nanoseconds IS NULL))
) STRICT, WITHOUT ROWID;

-- They refer to pipelines by name only, as the history does.
CREATE TABLE requests (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    pipeline              TEXT NOT NULL,
    action                TEXT NOT NULL,
    arguments             TEXT NOT NULL,
    requested_nanoseconds INTEGER NOT NULL,
    -- When the run took it.
    taken_nanoseconds     INTEGER,
    -- Whether who asked wants it no more.
    is_cancelled          INTEGER NOT NULL DEFAULT 0 CHECK (is_cancelled IN (0, 1)),
    progress              TEXT NOT NULL DEFAULT '',
    ended_nanoseconds     INTEGER,
    outcome               TEXT CHECK (outcome IN ('done', 'stopped', 'failed')),
    result                TEXT NOT NULL DEFAULT '',
    CHECK ((ended_nanoseconds IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX requests_open ON requests (id) WHERE outcome IS NULL;

CREATE TABLE identities (
    pipeline TEXT PRIMARY KEY NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    source   TEXT NOT NULL,
    target   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
