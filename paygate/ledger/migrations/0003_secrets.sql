-- Billing keys for charges that paygate makes by itself, encrypted by the merchant's vault. Empty without a vault.

CREATE TABLE paygate_secret (
    gateway TEXT NOT NULL, key_digest TEXT NOT NULL, sealed TEXT NOT NULL, sealed_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (gateway, key_digest)
) WITHOUT ROWID;
