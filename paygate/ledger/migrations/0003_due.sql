-- Charges that paygate makes by itself: what it needs for them, encrypted, and how the next ones are found.

ALTER TABLE paygate_row ADD COLUMN sealed TEXT;
CREATE INDEX paygate_row_due ON paygate_row (gateway, due_at, id)
    WHERE sealed IS NOT NULL AND state IN ('scheduled', 'not_sent');
