CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    status TEXT NOT NULL,
    total_cents INTEGER NOT NULL,
    updated_position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE customers (
    customer_id TEXT PRIMARY KEY,
    orders INTEGER NOT NULL,
    spent_cents INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE products (
    sku TEXT PRIMARY KEY,
    ordered_qty INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
