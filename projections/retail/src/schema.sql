CREATE TABLE totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    placed_mils INTEGER NOT NULL,
    cancelled_mils INTEGER NOT NULL,
    bad_debt_mils INTEGER NOT NULL,
    units_placed INTEGER NOT NULL,
    units_cancelled INTEGER NOT NULL,
    units_adjusted INTEGER NOT NULL,
    lines INTEGER NOT NULL
) STRICT;

CREATE TABLE customers (
    customer_id TEXT PRIMARY KEY,
    country TEXT NOT NULL,
    registered_at TEXT,
    orders INTEGER NOT NULL DEFAULT 0,
    cancellations INTEGER NOT NULL DEFAULT 0,
    placed_mils INTEGER NOT NULL DEFAULT 0,
    cancelled_mils INTEGER NOT NULL DEFAULT 0,
    net_mils INTEGER NOT NULL DEFAULT 0,
    units_net INTEGER NOT NULL DEFAULT 0,
    last_activity_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE products (
    stock_code TEXT PRIMARY KEY,
    description TEXT,
    orders INTEGER NOT NULL,
    units_placed INTEGER NOT NULL,
    units_cancelled INTEGER NOT NULL,
    units_adjusted INTEGER NOT NULL,
    placed_mils INTEGER NOT NULL,
    cancelled_mils INTEGER NOT NULL,
    net_mils INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE months (
    month TEXT PRIMARY KEY,
    orders INTEGER NOT NULL,
    guest_orders INTEGER NOT NULL,
    cancellations INTEGER NOT NULL,
    new_customers INTEGER NOT NULL,
    placed_mils INTEGER NOT NULL,
    cancelled_mils INTEGER NOT NULL,
    net_mils INTEGER NOT NULL,
    units_net INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE countries (
    country TEXT PRIMARY KEY,
    orders INTEGER NOT NULL,
    cancellations INTEGER NOT NULL,
    net_mils INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX customers_by_net ON customers (net_mils);
