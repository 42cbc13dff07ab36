-- Format 5: who changed what.

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_nanoseconds INTEGER NOT NULL,
    -- The name that belongs to the token.
    who TEXT NOT NULL,
    -- The other end of the connection.
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    -- The pipeline or connector; empty if it concerns more.
    subject TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;
