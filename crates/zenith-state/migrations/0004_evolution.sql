-- Format 4: how far the tables of running pipelines are complete, and why each schema is as it is.

-- The source's time up to which the table is complete, as the run knows it.
ALTER TABLE conditions ADD COLUMN applied_nanoseconds INTEGER;

ALTER TABLE schemas ADD COLUMN cause TEXT NOT NULL DEFAULT '';
-- What changed the table, if it was there before.
ALTER TABLE schemas ADD COLUMN statement TEXT NOT NULL DEFAULT '';
