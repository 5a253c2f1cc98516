"""Playbooks: from the files of `email_templates/` to the frozen Playbook that all decisions use.

`load_files` reads a folder, `build` and `find_faults` build and check it, `publish` stores it in the database,
`PublishedPlaybooks` loads the active one from there, and `compare` finds the differences of two playbooks.
Nothing here sends a mail or reads a clock.
"""

from nurture.playbook.diff import Change, Difference, InFlight, compare, with_people
from nurture.playbook.fault import Fault
from nurture.playbook.load import load_files
from nurture.playbook.loaded_playbook import LoadedPlaybook, build, find_faults, inspect, rebuild
from nurture.playbook.publishing import (
    FixedPlaybook,
    PlaybookSource,
    PublishedPlaybooks,
    publish,
    rollback,
)
from nurture.playbook.schema.export import json_schemas

__all__ = [
    "Change",
    "Difference",
    "Fault",
    "FixedPlaybook",
    "InFlight",
    "LoadedPlaybook",
    "PlaybookSource",
    "PublishedPlaybooks",
    "build",
    "compare",
    "find_faults",
    "inspect",
    "json_schemas",
    "load_files",
    "publish",
    "rebuild",
    "rollback",
    "with_people",
]
