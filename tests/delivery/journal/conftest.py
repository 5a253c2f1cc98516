"""The command, for what operators do."""

from tests.cli.shell import nurture

__all__ = ["nurture"]
