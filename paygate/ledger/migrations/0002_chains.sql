-- The lines of a row become a chain of hashes with an actor, and nobody may change or remove one.
-- What stands in the trail already is chained by migrate.py, which then drops paygate_line_before.

ALTER TABLE paygate_row ADD COLUMN payer_digest TEXT;
ALTER TABLE paygate_row ADD COLUMN hash TEXT NOT NULL DEFAULT '';

ALTER TABLE paygate_line RENAME TO paygate_line_before;
DROP INDEX paygate_line_id;
CREATE TABLE paygate_line (
    gateway TEXT NOT NULL, book TEXT NOT NULL, id TEXT NOT NULL, fence BIGINT NOT NULL, at DOUBLE PRECISION NOT NULL,
    actor TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL, content TEXT NOT NULL, salt TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (gateway, book, id, fence)
) WITHOUT ROWID;

-- Which ledger this is: a connection that is to be joined must reach the same one.
CREATE TABLE paygate_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- only sqlite
CREATE TRIGGER paygate_line_kept BEFORE UPDATE ON paygate_line
    BEGIN SELECT RAISE(ABORT, 'the trail of the ledger is only ever added to'); END;
CREATE TRIGGER paygate_line_held BEFORE DELETE ON paygate_line
    BEGIN SELECT RAISE(ABORT, 'the trail of the ledger is only ever added to'); END;
CREATE TRIGGER paygate_row_held BEFORE DELETE ON paygate_row
    BEGIN SELECT RAISE(ABORT, 'a row of the ledger is never removed: its order could be charged again'); END;

-- only postgres
CREATE FUNCTION paygate_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the ledger is only ever added to: no % on %', TG_OP, TG_TABLE_NAME;
    END
$$;
CREATE TRIGGER paygate_line_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON paygate_line
    FOR EACH STATEMENT EXECUTE FUNCTION paygate_refuse();
CREATE TRIGGER paygate_row_held BEFORE DELETE OR TRUNCATE ON paygate_row
    FOR EACH STATEMENT EXECUTE FUNCTION paygate_refuse();
