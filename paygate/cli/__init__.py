"""The command line, `paygate …`. Importing it imports no command, neither click nor rich."""

from .main import main

__all__ = ["main"]
