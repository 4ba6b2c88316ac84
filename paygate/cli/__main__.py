"""`python -m paygate.cli` is `paygate`."""

from . import main

main()
