-- One row for each attempt to move money, and a trail of what was written about it.
-- What a migration file may hold is said in migrate.py.

CREATE TABLE paygate_row (
    gateway TEXT NOT NULL, book TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, order_id TEXT NOT NULL,
    digest TEXT NOT NULL, state TEXT NOT NULL, opened_at DOUBLE PRECISION NOT NULL, amount BIGINT, currency TEXT,
    fence BIGINT NOT NULL, lease_until DOUBLE PRECISION, sent_at DOUBLE PRECISION, check_at DOUBLE PRECISION,
    checks BIGINT NOT NULL, missed_at DOUBLE PRECISION, attention TEXT, provider_id TEXT, due_at DOUBLE PRECISION,
    before BIGINT, key_digest TEXT, result TEXT, refusal TEXT,
    PRIMARY KEY (gateway, book, id)
) WITHOUT ROWID;

-- A payment of the PG belongs to one order.
CREATE UNIQUE INDEX paygate_row_provider ON paygate_row (gateway, provider_id)
    WHERE book = 'payment' AND provider_id IS NOT NULL;

-- Of one order, one refund is open at a time.
CREATE UNIQUE INDEX paygate_row_one_cancel ON paygate_row (gateway, order_id)
    WHERE book = 'cancel' AND state IN ('opened', 'sent', 'unknown');

CREATE INDEX paygate_row_refunds ON paygate_row (gateway, order_id) WHERE book = 'cancel';
CREATE INDEX paygate_row_check ON paygate_row (gateway, check_at) WHERE check_at IS NOT NULL;
CREATE INDEX paygate_row_attention ON paygate_row (gateway, opened_at) WHERE attention IS NOT NULL;
CREATE INDEX paygate_row_key ON paygate_row (gateway, key_digest) WHERE key_digest IS NOT NULL;
CREATE INDEX paygate_row_unresolved ON paygate_row (gateway, opened_at) WHERE state IN ('opened', 'sent', 'unknown');

CREATE TABLE paygate_line (
    seq BIGINT PRIMARY KEY, at DOUBLE PRECISION NOT NULL, gateway TEXT NOT NULL, book TEXT NOT NULL, id TEXT NOT NULL,
    fence BIGINT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL
);
CREATE INDEX paygate_line_id ON paygate_line (gateway, id, seq);
