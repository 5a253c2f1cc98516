"""The `nurture` command: one file per noun, each parses, asks `nurture.app` and prints."""

from nurture.cli.root import main

__all__ = ["main"]
