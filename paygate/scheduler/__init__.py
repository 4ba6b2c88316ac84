"""Charges that fall due: which, when, and who carries them out. Money rules stay in procedures and ledger."""
