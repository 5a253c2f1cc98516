"""The fixture `nurture`: the command in an empty folder."""

from tests.cli.shell import nurture

__all__ = ["nurture"]
