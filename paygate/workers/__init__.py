"""Who drives what falls due: a loop of paygate's own, or an engine that a merchant runs already.

Nothing here decides about money. An engine may run a job twice, late, or on two machines at once: the ledger sees to it
that each charge happens once.
"""
