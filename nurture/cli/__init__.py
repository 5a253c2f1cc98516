"""The `nurture` command: one file per noun; each command parses its arguments, calls `nurture.app` and prints."""

from nurture.cli.root import main

__all__ = ["main"]
