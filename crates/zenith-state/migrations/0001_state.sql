-- Format 1. A file of this format may be anywhere: what it says must not change, later formats have files of
-- their own.
--
-- Moments are nanoseconds since 1970. Numbers that are unsigned to Zenith are stored in their 64 bits, so the
-- largest show as negative.

-- "ZNTH", by which the file is told from other databases.
PRAGMA application_id = 1515082824;

CREATE TABLE connectors (
    name    TEXT PRIMARY KEY NOT NULL,
    role    TEXT NOT NULL CHECK (role IN ('source', 'target')),
    uri     TEXT NOT NULL,
    options TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pipelines (
    name     TEXT PRIMARY KEY NOT NULL,
    source   TEXT NOT NULL REFERENCES connectors (name),
    target   TEXT NOT NULL REFERENCES connectors (name),
    settings TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('running', 'paused'))
) STRICT, WITHOUT ROWID;

-- Outlives the pipeline: a target may remember tokens of a pipeline that is gone.
CREATE TABLE epochs (
    pipeline TEXT PRIMARY KEY NOT NULL,
    epoch    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE schemas (
    pipeline            TEXT NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    version             INTEGER NOT NULL,
    created_nanoseconds INTEGER NOT NULL,
    schema              BLOB NOT NULL,
    PRIMARY KEY (pipeline, version)
) STRICT;

CREATE TABLE checkpoints (
    pipeline           TEXT PRIMARY KEY NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    position           BLOB NOT NULL,
    sort_key           BLOB NOT NULL,
    source_nanoseconds INTEGER,
    row_count          INTEGER NOT NULL,
    saved_nanoseconds  INTEGER NOT NULL
) STRICT;

-- Whoever writes here, by whatever statement: a checkpoint goes back only by being deleted, which is a reset.
CREATE TRIGGER checkpoints_move_forward BEFORE UPDATE ON checkpoints
WHEN NEW.sort_key < OLD.sort_key
BEGIN
    SELECT RAISE(ABORT, 'the checkpoint would move backwards');
END;

-- Numbers grow among the intents that are open at one time, which is all that their order needs.
CREATE TABLE intents (
    number              INTEGER PRIMARY KEY,
    pipeline            TEXT NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    token               TEXT NOT NULL,
    from_position       BLOB NOT NULL,
    to_position         BLOB NOT NULL,
    row_count           INTEGER NOT NULL,
    created_nanoseconds INTEGER NOT NULL,
    UNIQUE (pipeline, token)
) STRICT;

CREATE TABLE snapshots (
    pipeline            TEXT PRIMARY KEY NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    started_nanoseconds INTEGER NOT NULL,
    version             INTEGER NOT NULL,
    read_from           BLOB NOT NULL,
    consistent_after    BLOB
) STRICT;

CREATE TABLE snapshot_partitions (
    pipeline  TEXT NOT NULL REFERENCES snapshots (pipeline) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    partition BLOB NOT NULL,
    done      INTEGER NOT NULL CHECK (done IN (0, 1)),
    row_count INTEGER NOT NULL,
    PRIMARY KEY (pipeline, number)
) STRICT, WITHOUT ROWID;

-- The history refers to pipelines by name only: it outlives them, and has runs of none.
CREATE TABLE runs (
    id                  INTEGER PRIMARY KEY,
    pipeline            TEXT NOT NULL,
    mode                TEXT NOT NULL,
    zenith_version      TEXT NOT NULL,
    started_nanoseconds INTEGER NOT NULL,
    ended_nanoseconds   INTEGER,
    outcome             TEXT CHECK (outcome IN ('done', 'stopped', 'failed')),
    row_count           INTEGER NOT NULL,
    byte_count          INTEGER NOT NULL,
    error               TEXT,
    CHECK ((ended_nanoseconds IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX runs_by_pipeline ON runs (pipeline, id);
CREATE INDEX runs_under_way ON runs (id) WHERE outcome IS NULL;
