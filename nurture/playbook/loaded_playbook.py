"""Build a playbook from its files, check it, and report all faults at once.

sort files -> playbook.yaml -> facts, stages ... -> every measure.yaml -> mails -> checks -> hashes
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from nurture.domain.errors import PlaybookError
from nurture.domain.playbook import Playbook
from nurture.playbook import hashes
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.builders.measure import Draft, build_measure
from nurture.playbook.builders.programme import ProgrammeBuilder
from nurture.playbook.check.actions import check_actions
from nurture.playbook.check.asked_for import check_asked_for
from nurture.playbook.check.asked_measures import check_asked_measures
from nurture.playbook.check.call_to_action import check_call_to_action, check_recipient
from nurture.playbook.check.essentials import check_essentials, check_programme_metric
from nurture.playbook.check.layout import check_images, check_strings
from nurture.playbook.check.links import check_links
from nurture.playbook.check.mails import check_mails, check_subjects
from nurture.playbook.check.measure_check import MeasureCheck
from nurture.playbook.check.names import check_fact_names, check_names
from nurture.playbook.check.other_track import check_other_track
from nurture.playbook.check.outcomes import check_outcomes
from nurture.playbook.check.owners import check_owners
from nurture.playbook.check.run_values import (
    check_choices,
    check_kinds,
    check_names_at_hand,
    check_part,
)
from nurture.playbook.check.runs import check_run
from nurture.playbook.check.segments import check_segments
from nurture.playbook.check.stages import check_answers, check_place, check_reader
from nurture.playbook.check.starved import check_starved
from nurture.playbook.check.steps import check_steps
from nurture.playbook.check.tables import check_tables
from nurture.playbook.check.templates import check_rendering
from nurture.playbook.check.touchpoints import check_touchpoints
from nurture.playbook.check.wording import check_layout_wording, check_wording
from nurture.playbook.document import Document, read_document
from nurture.playbook.fault import Fault, Faults
from nurture.playbook.folder import MEASURE, PROGRAMME, MeasureFolder, PlaybookFolder, sort_files
from nurture.playbook.front_matter import MarkupFile
from nurture.playbook.schema.measure import MeasureFile
from nurture.playbook.schema.programme import ProgrammeFile
from nurture.playbook.schema.validate import MEASURE_STANDINS, PROGRAMME_STANDINS, read_model
from nurture.playbook.upgrade import warn_of_old_forms
from nurture.rendering.templates import Templates


@dataclass(frozen=True, slots=True)
class LoadedPlaybook:
    """A playbook with its files and its compiled-on-demand templates."""

    # Its row in `playbooks`; 0 while unpublished.
    id: int
    playbook: Playbook
    # {path: text} as published.
    files: Mapping[str, str]
    # The templates of its mails.
    templates: Templates


@dataclass(frozen=True, slots=True)
class _Source:
    """All files as models and built values, with stand-ins in place of broken parts."""

    folder: PlaybookFolder
    programme: ProgrammeFile
    # The document that `programme` was read from.
    document: Document
    playbook: Playbook
    drafts: tuple[Draft, ...]


def build(files: Mapping[str, str], *, render: bool = True) -> LoadedPlaybook:
    """Build a playbook and check it in full.

    files: {path with slashes: text}, as `load_files` returns them. Renders every mail from its sample in a child
    process; render: False leaves that out. Raises PlaybookError with every fault.
    """
    faults = Faults()
    source = _read_source(files, faults)
    if source is not None:
        _check(source, files, faults, render=render)
    if faults or source is None:
        raise PlaybookError([str(fault) for fault in faults.sorted()])
    return _loaded(source, files, id_=0)


def find_faults(files: Mapping[str, str], *, render: bool = True) -> list[Fault]:
    """Return every fault of a playbook, in the order of files and lines; an empty list when it may be published.

    render: False leaves out the faults that only rendering shows, for quick feedback in an editor.
    """
    return inspect(files, render=render).sorted()


def inspect(files: Mapping[str, str], *, render: bool = True) -> Faults:
    """Return the faults and the warnings of a playbook."""
    faults = Faults()
    source = _read_source(files, faults)
    if source is not None:
        _check(source, files, faults, render=render)
    return faults


def find_starved(files: Mapping[str, str]) -> list[Fault]:
    """Return the mail steps that can never leave."""
    source, starved = _read_source(files, Faults()), Faults()
    if source is not None:
        for draft in source.drafts:
            check_starved(MeasureCheck(draft, source.playbook, source.programme, starved))
    return starved.sorted()


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
    Raises PlaybookError when it cannot even be source.
    """
    faults = Faults()
    source = _read_source(files, faults)
    if faults or source is None:
        raise PlaybookError([str(fault) for fault in faults.sorted()])
    return _loaded(source, files, id_=id_, backlog=backlog, has_template_cache=has_template_cache)


def _loaded(
    source: _Source,
    files: Mapping[str, str],
    *,
    id_: int,
    backlog: Literal["none", "enter"] = "none",
    has_template_cache: bool = True,
) -> LoadedPlaybook:
    playbook = replace(source.playbook, backlog=backlog)
    measures = {
        path: replace(measure, rules_hash=hashes.measure_rules_hash(measure, playbook))
        for path, measure in playbook.measures.items()
    }
    playbook = replace(playbook, measures=measures, content_hash=hashes.content_hash(files))
    playbook = replace(playbook, rules_hash=hashes.rules_hash(playbook))
    templates = Templates.of(files, playbook, has_cache=has_template_cache)
    return LoadedPlaybook(id_, playbook, dict(files), templates)


def _read_source(files: Mapping[str, str], faults: Faults) -> _Source | None:
    folder = sort_files(files, faults)
    programme, document = _read_programme(folder, faults)
    measures = [measure for folder_ in folder.measures.values() for measure in _read_measure(folder_, faults)]
    if programme is None or document is None:
        return None
    conditions = ConditionParser(faults)
    playbook = ProgrammeBuilder(programme, document, conditions, faults).build()
    drafts = tuple(
        build_measure(
            model,
            document_,
            folder_,
            playbook=playbook,
            types=programme.properties,
            conditions=conditions,
            faults=faults,
        )
        for model, document_, folder_ in measures
    )
    playbook = replace(playbook, measures={draft.measure.path: draft.measure for draft in drafts})
    return _Source(folder, programme, document, playbook, drafts)


def _read_programme(folder: PlaybookFolder, faults: Faults) -> tuple[ProgrammeFile | None, Document | None]:
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
        faults.mark_broken(folder.file(MEASURE), ())
        return []
    model = read_model(MeasureFile, document, faults, MEASURE_STANDINS)
    return [] if model is None else [(model, document, folder)]


def _check(source: _Source, files: Mapping[str, str], faults: Faults, *, render: bool) -> None:
    warn_of_old_forms(source.document, faults)
    check_touchpoints(source.playbook, source.programme, source.document, faults)
    check_programme_metric(source.playbook, source.programme, source.document, faults)
    check_kinds(source.playbook, source.document, faults)
    check_fact_names(source.playbook, source.document, faults)
    check_segments(source.playbook, source.document, faults)
    check_strings(source.playbook, source.folder.layout, faults)
    check_images(source.folder.layout, files, faults)
    check_layout_wording(source.folder.layout, faults)
    checks = [MeasureCheck(draft, source.playbook, source.programme, faults) for draft in source.drafts]
    markup_files: dict[str, MarkupFile] = {}
    for check in checks:
        check_place(check)
        check_names(check)
        check_essentials(check)
        check_call_to_action(check)
        check_other_track(check)
        check_recipient(check)
        check_owners(check)
        check_asked_for(check)
        check_asked_measures(check)
        check_answers(check)
        check_reader(check)
        check_steps(check)
        check_outcomes(check)
        check_choices(check)
        check_part(check)
        check_tables(check)
        check_actions(check)
        check_starved(check)
        check_run(check)
        markup_files |= check_mails(check, source.folder.layout)
        check_names_at_hand(check)
        check_links(check, source.folder.layout)
        check_wording(check, markup_files)
    subjects = check_rendering(checks, files) if render else {}
    for check in checks:
        check_subjects(check, markup_files, subjects)
