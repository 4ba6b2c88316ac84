"""The order in which things must happen around money: write down, speak, write down.

Procedures are generators of effects (`steps.py`), driven by the sync and the async gateway alike.
"""
