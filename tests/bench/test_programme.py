"""The programmes that the rows of `make bench` make from the shipped one can be published."""

from pathlib import Path

from bench.history import MEASURES
from bench.programme import with_measures, with_only
from nurture.domain.measure import (
    OnCondition,
    OnConsent,
    OnDate,
    OnEvent,
    OnMilestone,
    OnObject,
    OnOps,
    OnQuiet,
    OnSchedule,
    OnStage,
)
from nurture.playbook.load import load_files
from nurture.playbook.loaded_playbook import find_faults, rebuild

#: An entity's date and a declared moment are further ones: no shipped measure has them.
_KINDS = {
    *(OnCondition, OnConsent, OnDate, OnEvent, OnMilestone, OnObject, OnOps, OnQuiet, OnSchedule, OnStage),
}


def test_the_playbook_of_100_measures_has_no_fault_and_every_kind_of_trigger(tmp_path: Path) -> None:
    files = load_files(with_measures(100, tmp_path / "programme"))
    assert find_faults(files, render=False) == []
    measures = rebuild(files, id_=1).playbook.measures
    assert len(measures) == 100
    assert {type(measure.trigger) for measure in measures.values()} == _KINDS


def test_the_measures_of_the_real_history_have_no_fault_without_the_others(tmp_path: Path) -> None:
    files = load_files(with_only(MEASURES, tmp_path / "programme"))
    assert find_faults(files, render=False) == []
    assert set(rebuild(files, id_=1).playbook.measures) == set(MEASURES)
