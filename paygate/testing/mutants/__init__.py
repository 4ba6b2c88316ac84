"""Providers that are broken on purpose: what the contract kit must catch.

Each is made of a right provider by one small change, so the same ways of being wrong are tried on FakePG and on every
installed provider. `python -m paygate.testing.mutants` prints which check caught which.
"""

from .bending import Mutant, all_mutants

__all__ = ["Mutant", "all_mutants"]
