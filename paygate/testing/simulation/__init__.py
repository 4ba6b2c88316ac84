"""A simulation of a merchant, its processes, a PG and everything between them, and a checker that judges it.

Nothing is mocked: real gateways, a real ledger and a provider's emulator run on a clock that is turned, and a seed
decides who buys, what goes wrong and who dies. `python -m paygate.testing.simulation --help` runs it.
"""
