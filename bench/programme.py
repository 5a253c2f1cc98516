"""Programmes made from the shipped one: some of its measures alone, and one with copies for people whom nobody is yet.

With the copies every kind of trigger is there several times, each event is asked of several times as many measures, and
the same runs start and the same mail is written as with the shipped programme alone.
"""

import re
import shutil
from collections.abc import Collection
from itertools import cycle, islice
from pathlib import Path
from typing import Final

import yaml

from bench.stage import ROOT

#: The audience of a copy asks one of these beside that of its original: nobody has done anything so often.
_FURTHER: Final = ("orders >= 1000", "reads >= 1000", "views_7d >= 40", "renewals >= 1000")
_AUDIENCE: Final = re.compile(r"^audience: .*$", re.MULTILINE)
#: No shipped measure starts on a stage: one copy does, so that every kind of trigger is there.
_MILESTONE: Final = "trigger: {milestone: first_order}"
_STAGE: Final = "trigger: {stage: excite}"
#: Lines about a measure's former name.
_FORMER: Final = re.compile(r"^was: .*\n", re.MULTILINE)
_HANDOVER: Final = re.compile(r"^handover: .*\n", re.MULTILINE)
#: The path of a measure of a track: of a stage or of any.
_PATH: Final = re.compile(r"\b(?:lead|customer|any)(?:/[a-z_0-9]+){1,2}\b")
_ALONE: Final = '"none: measured alone"'


def with_only(paths: Collection[str], folder: Path) -> Path:
    """Write the shipped programme with these measures and no word of the others; return its folder."""
    shutil.copytree(ROOT / "email_templates", folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "tests", ignore_errors=True)
    measures = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("measure.yaml")}
    gone = measures.difference(paths)
    for path in gone:
        shutil.rmtree(folder / path)
    for path in paths:
        _leave_alone(folder / path, gone)
    file = folder / "playbook.yaml"
    file.write_text(
        _PATH.sub(lambda path: _ALONE if path[0] in gone else path[0], file.read_text("utf-8")), "utf-8"
    )
    return folder


def _leave_alone(measure: Path, gone: Collection[str]) -> None:
    """Take the measures that are gone out of one that stays: its twin of the other track and its heir."""
    file = measure / "measure.yaml"
    text = file.read_text("utf-8")
    document = yaml.safe_load(text)
    if document.get("handover") in gone:
        text = _HANDOVER.sub("", text)
    if measure.parent.parent.name in ("lead", "customer") and "other_track" not in document:
        text = f"{text}other_track: {_ALONE}\n"
    file.write_text(text, "utf-8")


def with_measures(count: int, folder: Path) -> Path:
    """Write the shipped programme with copies of its measures until there are `count`; return its folder."""
    shutil.copytree(ROOT / "email_templates", folder, dirs_exist_ok=True)
    # The two measures of one name, one for each track, are copied together: the check asks for both.
    originals = sorted(
        (path.parent for path in folder.rglob("measure.yaml")), key=lambda path: (path.name, path)
    )
    for number, original in enumerate(islice(cycle(originals), count - len(originals))):
        turn = number // len(originals)
        copy = original.with_name(f"{original.name}_{turn + 2}")
        shutil.copytree(original, copy)
        text = (copy / "measure.yaml").read_text("utf-8")
        text = _narrowed(text, _FURTHER[turn % len(_FURTHER)])
        if turn == 1:
            text = text.replace(_MILESTONE, _STAGE)
        (copy / "measure.yaml").write_text(text, "utf-8")
    return folder


def _narrowed(text: str, further: str) -> str:
    """Return the text of a measure that asks for more than the given one does."""
    audience = f"({yaml.safe_load(text)['audience']}) and {further}"
    line = "audience: " + yaml.safe_dump(audience, default_style="'", width=1_000).strip()
    return _AUDIENCE.sub(lambda _: line, _FORMER.sub("", text), count=1)
