"""The places of a playbook's files. The path of a measure decides its track and its stage.

playbook.yaml
_layout/...
any/<measure>/...   lead/<place>/<measure>/...   customer/<place>/<measure>/...

A place is `any`, a stage, or `<stage>+`: that stage and all later ones of the track.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from nurture.domain.measure import MessageTrack
from nurture.playbook.fault import Faults
from nurture.rendering.sample import FURTHER_SAMPLE

PROGRAMME = "playbook.yaml"
MEASURE = "measure.yaml"
SAMPLE = "sample.json"
LAYOUT = "_layout"

_FOLDER = re.compile(r"[a-z][a-z0-9_]{0,59}")
_STAGE = re.compile(r"(?P<stage>[a-z][a-z0-9_]{0,59})(?P<later>\+?)")
_MAIL = re.compile(
    r"(?P<mail>[a-z][a-z0-9_]*)(@(?P<variant>[a-z][a-z0-9_]*))?\.(?P<locale>[A-Za-z0-9-]+)\.(?P<part>mjml|txt)"
)


@dataclass(frozen=True, slots=True, order=True)
class MailFile:
    """The file of one part of a mail: `<mail>[@<variant>].<locale>.<mjml or txt>`."""

    mail: str
    variant: str
    locale: str
    part: str
    path: str = ""


@dataclass(slots=True)
class MeasureFolder:
    """The files of one measure."""

    path: str
    track: MessageTrack
    # A stage's name or `any`; `any` for `any/<measure>`.
    stage: str
    # True for a place `<stage>+`.
    and_later: bool = False
    # File name -> text.
    files: dict[str, str] = field(default_factory=dict)
    mails: list[MailFile] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Return the folder of its stage: `any`, `ascend` or `ascend+`."""
        return self.path.split("/")[-2]

    def file(self, name: str) -> str:
        """Return the path of one of its files."""
        return f"{self.path}/{name}"


@dataclass(slots=True)
class PlaybookFolder:
    """A playbook's files, sorted by their places."""

    programme: str | None = None
    # File name under `_layout/` -> text.
    layout: dict[str, str] = field(default_factory=dict)
    measures: dict[str, MeasureFolder] = field(default_factory=dict)


def sort_files(files: Mapping[str, str], faults: Faults) -> PlaybookFolder:
    """Return {path: text} sorted by place; a file in no known place is a fault."""
    folder = PlaybookFolder(programme=files.get(PROGRAMME))
    if folder.programme is None:
        faults.add(
            PROGRAMME, 1, "there is no playbook.yaml", "add it; `nurture init` gives you a complete one"
        )
    for path in sorted(files):
        if path == PROGRAMME:
            continue
        parts = PurePosixPath(path).parts
        if parts[0] == LAYOUT:
            folder.layout["/".join(parts[1:])] = files[path]
        elif not parts[0].startswith(("_", ".")):
            _add_file(folder, parts, files[path], faults)
    for measure in folder.measures.values():
        if MEASURE not in measure.files:
            faults.add(
                measure.file(MEASURE), 1, "the folder has no measure.yaml", "add it, or remove the folder"
            )
    return folder


def _add_file(folder: PlaybookFolder, parts: tuple[str, ...], text: str, faults: Faults) -> None:
    path = "/".join(parts)
    depth = {"any": 3, "lead": 4, "customer": 4}.get(parts[0])
    if depth is None or len(parts) != depth:
        faults.add(path, 1, "this place means nothing", f"move it to {_allowed_places(parts[0])}")
        return
    stage = _STAGE.fullmatch(parts[1] if depth == 4 else "any")
    if stage is None or _FOLDER.fullmatch(parts[-2]) is None:
        change = "use small letters, digits and _; `ascend+` is the stage ascend and all later ones"
        faults.add(path, 1, "a folder's name is wrong", change)
        return
    if parts[1] == "any+":
        faults.add(path, 1, "`any+` means nothing more than `any`", f"move it to {parts[0]}/any/{parts[2]}/")
        return
    place, name = "/".join(parts[:-1]), parts[-1]
    track: MessageTrack = "any" if parts[0] == "any" else "lead" if parts[0] == "lead" else "customer"
    measure = folder.measures.setdefault(
        place, MeasureFolder(place, track, stage["stage"], bool(stage["later"]))
    )
    measure.files[name] = text
    match = _MAIL.fullmatch(name)
    if match is not None:
        measure.mails.append(
            MailFile(match["mail"], match["variant"] or "", match["locale"], match["part"], path)
        )
    elif name not in (MEASURE, SAMPLE) and FURTHER_SAMPLE.fullmatch(name) is None:
        faults.add(
            path, 1, "nothing reads this file", "name mails <mail>.<locale>.mjml and <mail>.<locale>.txt"
        )


def _allowed_places(track: str) -> str:
    if track in ("lead", "customer"):
        return f"{track}/any/<measure>/, {track}/<stage>/<measure>/ or {track}/<stage>+/<measure>/"
    return "any/<measure>/, lead/<stage>/<measure>/, customer/<stage>/<measure>/ or _layout/"
