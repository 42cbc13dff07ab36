-- Format 2: what of documents did not fit, and how much of it in each run.

CREATE TABLE misfits (
    pipeline TEXT NOT NULL REFERENCES pipelines (name) ON DELETE CASCADE,
    -- 0 for everything since the table was loaded; else the second since 1970 at which some minutes begin.
    slot     INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('value', 'document')),
    -- Empty for documents.
    field    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    amount   INTEGER NOT NULL,
    PRIMARY KEY (pipeline, slot, kind, field, reason)
) STRICT, WITHOUT ROWID;

ALTER TABLE runs ADD COLUMN extra_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN letter_count INTEGER NOT NULL DEFAULT 0;
