"""The playbook's room: the files of `email_templates/` in, the frozen Playbook that everybody decides by out.

Reads a folder (`load_files`), builds and checks it (`build`, `faults_of`), publishes it into the database and
loads what is active from there (`publish`, `PublishedPlaybooks`), and tells two playbooks apart (`compare`).
Nothing here sends, decides or reads a clock.
"""

from nurture.playbook.built import LoadedPlaybook, build, faults_of, rebuild
from nurture.playbook.diff import Change, Difference, InFlight, compare, with_people
from nurture.playbook.fault import Fault
from nurture.playbook.load import load_files
from nurture.playbook.published import (
    GivenPlaybook,
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
    "GivenPlaybook",
    "InFlight",
    "LoadedPlaybook",
    "PlaybookSource",
    "PublishedPlaybooks",
    "build",
    "compare",
    "faults_of",
    "json_schemas",
    "load_files",
    "publish",
    "rebuild",
    "rollback",
    "with_people",
]
