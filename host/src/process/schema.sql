CREATE TABLE instances (
    key TEXT PRIMARY KEY,
    -- JSON, as the instance left it.
    state TEXT NOT NULL,
    began_position INTEGER NOT NULL,
    -- Microseconds since 1970, as all times here: when the event was recorded.
    began_at INTEGER NOT NULL,
    changed_position INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Names by which instances are found, besides their own keys.
CREATE TABLE associations (
    name TEXT NOT NULL,
    instance TEXT NOT NULL,
    PRIMARY KEY (name, instance)
) STRICT, WITHOUT ROWID;
CREATE INDEX associations_by_instance ON associations (instance);

-- Deadlines that have not come yet.
CREATE TABLE timers (
    instance TEXT NOT NULL,
    name TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    -- The position of the event that it was set by.
    set_by INTEGER NOT NULL,
    -- Counts up each time that one with an interval is due.
    occurrence INTEGER NOT NULL,
    every_us INTEGER,
    PRIMARY KEY (instance, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_by_due ON timers (due_at);

-- What each instance did about each event by which it changed or did something.
CREATE TABLE decisions (
    instance TEXT NOT NULL,
    position INTEGER NOT NULL,
    -- unchanged, became or ended
    outcome TEXT NOT NULL,
    -- A JSON array; an effect's ordinal is its place among the effects in it.
    actions TEXT NOT NULL,
    PRIMARY KEY (instance, position)
) STRICT, WITHOUT ROWID;
