"""{path: text} to a playbook: read everything, build everything, check everything, then say all faults at once.

arrange -> playbook.yaml -> facts, stages ... -> measure.yaml each -> mails -> checks -> hashes
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from nurture.domain.errors import PlaybookError
from nurture.domain.playbook import Playbook
from nurture.playbook import hashes
from nurture.playbook.builders.conditions import Conditions
from nurture.playbook.builders.measure import Draft, build_measure
from nurture.playbook.builders.programme import ProgrammeBuilder
from nurture.playbook.check.case import Case
from nurture.playbook.check.journey import check_answers, check_place
from nurture.playbook.check.layout import check_images, check_strings
from nurture.playbook.check.mails import check_mails, check_subjects
from nurture.playbook.check.matrix import check_matrix, check_recipient
from nurture.playbook.check.names import check_names
from nurture.playbook.check.steps import check_steps
from nurture.playbook.check.templates import check_rendering
from nurture.playbook.check.wording import check_layout_wording, check_wording
from nurture.playbook.document import Document, read_document
from nurture.playbook.fault import Fault, Faults
from nurture.playbook.folder import MEASURE, PROGRAMME, Folder, MeasureFolder, arrange
from nurture.playbook.front_matter import MailHead
from nurture.playbook.schema.measure import MeasureFile
from nurture.playbook.schema.programme import ProgrammeFile
from nurture.playbook.schema.validate import MEASURE_STANDINS, PROGRAMME_STANDINS, read_model
from nurture.rendering.templates import Templates


@dataclass(frozen=True, slots=True)
class LoadedPlaybook:
    """A playbook ready to work by."""

    # Row of `playbooks`; 0 while unpublished.
    id: int
    playbook: Playbook
    # {path: text} as published.
    files: Mapping[str, str]
    # The mails; each compiles when it is first needed.
    templates: Templates


@dataclass(frozen=True, slots=True)
class _Read:
    """Everything that was read, with stand-ins where something is broken."""

    folder: Folder
    programme: ProgrammeFile
    playbook: Playbook
    drafts: tuple[Draft, ...]


def build(files: Mapping[str, str]) -> LoadedPlaybook:
    """Build a playbook and check it in full.

    files: {path with slashes: text}, as `load_files` returns them. Renders every mail from its sample in a
    process of its own. Raises PlaybookError with every fault.
    """
    faults = Faults()
    read = _read(files, faults)
    if read is not None:
        _check(read, files, faults, render=True)
    if faults or read is None:
        raise PlaybookError([str(fault) for fault in faults.sorted()])
    return _loaded(read, files, id_=0)


def faults_of(files: Mapping[str, str], *, render: bool = True) -> list[Fault]:
    """Return every fault of a playbook, in the order of files and lines; none when it may be published.

    render: False leaves out what only rendering the mails shows, for a quick look while somebody types.
    """
    faults = Faults()
    read = _read(files, faults)
    if read is not None:
        _check(read, files, faults, render=render)
    return faults.sorted()


def rebuild(
    files: Mapping[str, str],
    *,
    id_: int,
    backlog: Literal["none", "enter"] = "none",
    has_template_cache: bool = True,
) -> LoadedPlaybook:
    """Build a playbook that was checked when it was published, without checking it again.

    A newer version of the checks therefore never stops workers from using a published playbook.
    has_template_cache: False renders every mail by the reference path (setting TEMPLATE_CACHE).
    Raises PlaybookError when it cannot even be read.
    """
    faults = Faults()
    read = _read(files, faults)
    if faults or read is None:
        raise PlaybookError([str(fault) for fault in faults.sorted()])
    return _loaded(read, files, id_=id_, backlog=backlog, has_template_cache=has_template_cache)


def _loaded(
    read: _Read,
    files: Mapping[str, str],
    *,
    id_: int,
    backlog: Literal["none", "enter"] = "none",
    has_template_cache: bool = True,
) -> LoadedPlaybook:
    playbook = replace(read.playbook, backlog=backlog)
    measures = {
        path: replace(measure, rules_hash=hashes.measure_rules_hash(measure, playbook))
        for path, measure in playbook.measures.items()
    }
    playbook = replace(playbook, measures=measures, content_hash=hashes.content_hash(files))
    playbook = replace(playbook, rules_hash=hashes.rules_hash(playbook))
    templates = Templates.of(files, playbook, has_cache=has_template_cache)
    return LoadedPlaybook(id_, playbook, dict(files), templates)


def _read(files: Mapping[str, str], faults: Faults) -> _Read | None:
    folder = arrange(files, faults)
    programme, document = _read_programme(folder, faults)
    measures = [each for folder_ in folder.measures.values() for each in _read_measure(folder_, faults)]
    if programme is None or document is None:
        return None
    conditions = Conditions(faults)
    playbook = ProgrammeBuilder(programme, document, conditions, faults).build()
    drafts = tuple(
        build_measure(given, document_, folder_, playbook=playbook, conditions=conditions, faults=faults)
        for given, document_, folder_ in measures
    )
    playbook = replace(playbook, measures={draft.measure.path: draft.measure for draft in drafts})
    return _Read(folder, programme, playbook, drafts)


def _read_programme(folder: Folder, faults: Faults) -> tuple[ProgrammeFile | None, Document | None]:
    if folder.programme is None:
        return None, None
    document = read_document(PROGRAMME, folder.programme, faults)
    if document is None:
        return None, None
    return read_model(ProgrammeFile, document, faults, PROGRAMME_STANDINS), document


def _read_measure(folder: MeasureFolder, faults: Faults) -> list[tuple[MeasureFile, Document, MeasureFolder]]:
    if MEASURE not in folder.files:
        return []
    document = read_document(folder.file(MEASURE), folder.files[MEASURE], faults)
    if document is None:
        faults.break_off(folder.file(MEASURE), ())
        return []
    given = read_model(MeasureFile, document, faults, MEASURE_STANDINS)
    return [] if given is None else [(given, document, folder)]


def _check(read: _Read, files: Mapping[str, str], faults: Faults, *, render: bool) -> None:
    check_strings(read.playbook, read.folder.layout, faults)
    check_images(read.folder.layout, faults)
    check_layout_wording(read.folder.layout, faults)
    cases = [Case(draft, read.playbook, read.programme, faults) for draft in read.drafts]
    heads: dict[str, MailHead] = {}
    for case in cases:
        check_place(case)
        check_names(case)
        check_matrix(case)
        check_recipient(case)
        check_answers(case)
        check_steps(case)
        heads |= check_mails(case, read.folder.layout)
        check_wording(case, heads)
    subjects = check_rendering(cases, files) if render else {}
    for case in cases:
        check_subjects(case, heads, subjects)
