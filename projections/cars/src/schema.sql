CREATE TABLE cars (
    car_id TEXT PRIMARY KEY,
    created_by TEXT NOT NULL,
    colour TEXT NOT NULL,
    -- NULL until it is sold.
    customer_id TEXT,
    -- NULL until the customer is known.
    customer TEXT,
    -- The event that changed this row last.
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cars_of_customer ON cars (customer_id);
CREATE TABLE customers (
    customer_id TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;
