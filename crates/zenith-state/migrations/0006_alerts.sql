-- Format 6: what alerts have told.

-- One row, once anything was told.
CREATE TABLE alerts (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    -- Which alerts were told to whom and not resolved since, opaque.
    told TEXT NOT NULL
) STRICT;
