"""Bad input gets one clear line, the exit code of the contract, and changes nothing."""

import csv
import shutil
from pathlib import Path

import pytest

from tests.cli.shell import SHIPPED, Shell


def a_programme(folder: Path) -> Path:
    """Return a copy of the shipped programme to break."""
    return Path(shutil.copytree(SHIPPED, folder / "programme"))


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")


@pytest.mark.parametrize(
    "words", [("audience", "orders == 1"), ("doctor",), ("track", "a@b.example", "X"), ("messages",)]
)
def test_without_a_database_every_command_says_so_and_makes_none(
    nurture: Shell, words: tuple[str, ...]
) -> None:
    output = nurture(*words)
    assert output.code == 2
    assert "no database" in output.line()
    assert "nurture up" in output.line()
    assert not list(nurture.folder.iterdir())


def test_a_wrong_database_url_is_named_without_its_password(nurture: Shell) -> None:
    nurture.set("DATABASE_URL", "postgresql://nurture:hushhush@127.0.0.1:9/none")
    nurture.set("SECRET_KEY", "a-secret-for-tests-long-enough")
    nurture.set("SUPPRESSION_KEY", "a-secret-for-tests-long-enough")
    output = nurture("doctor")
    assert output.code == 2
    assert "NURTURE_DATABASE_URL" in output.line()
    assert "hushhush" not in output.err


def test_a_database_that_is_none_of_ours_is_refused(nurture: Shell) -> None:
    nurture.set("DATABASE_URL", "mysql://localhost/x")
    output = nurture("doctor")
    assert output.code == 2
    assert "sqlite:///nurture.db" in output.line()


def test_a_setting_that_does_not_exist_is_named_with_the_nearest(nurture: Shell) -> None:
    nurture.set("DATABSE_URL", "sqlite:///x.db")
    output = nurture("config", "show")
    assert output.code == 2
    assert "NURTURE_DATABASE_URL" in output.line()


def test_an_unknown_measure_is_named_with_the_nearest(nurture: Shell) -> None:
    nurture.install()
    output = nurture("preview", "lead/any/abandoned_card")
    assert output.code == 2
    assert "lead/any/abandoned_cart" in output.line()


def test_a_condition_with_a_type_error_says_what_to_change(nurture: Shell) -> None:
    nurture.install()
    wrong_type = nurture("audience", "orders == 'many'")
    unknown = nurture("audience", "ordrs == 1")
    assert (wrong_type.code, unknown.code) == (2, 2)
    assert "orders" in wrong_type.line()
    assert "orders" in unknown.line()


def test_broken_yaml_is_one_fault_with_its_line(nurture: Shell) -> None:
    folder = a_programme(nurture.folder)
    path = folder / "customer/any/birthday/measure.yaml"
    path.write_text("goal: [unclosed\naudience: 'True'\n", "utf-8")
    output = nurture("playbook", "check", str(folder), "--json")
    assert output.code == 1
    faults = output.document["faults"]
    assert len(faults) == 1
    assert faults[0].startswith("customer/any/birthday/measure.yaml:")


def test_a_template_with_a_missing_value_is_found_before_it_is_published(nurture: Shell) -> None:
    nurture.install()
    folder = a_programme(nurture.folder)
    change(folder / "customer/any/order_shipped/shipped.en.txt", "{{", "{{ event.nothing_like_it }} {{")
    output = nurture("playbook", "publish", str(folder), "--yes")
    assert output.code == 2
    assert "customer/any/order_shipped/shipped.en.txt" in output.err
    assert "nothing_like_it" in output.err


def test_a_call_to_action_its_stage_may_not_make_does_not_load(nurture: Shell) -> None:
    folder = a_programme(nurture.folder)
    change(folder / "lead/any/welcome_series/measure.yaml", "kind: read", "kind: buy")
    output = nurture("playbook", "check", str(folder))
    assert output.code == 1
    assert "welcome_series/measure.yaml" in output.out


def test_bad_rows_are_set_aside_with_their_reason_and_the_rest_flows(nurture: Shell) -> None:
    nurture.install()
    path = nurture.folder / "orders.csv"
    path.write_text(
        "email,event,timestamp,order_id,revenue\n"
        "ada@example.com,Order Completed,2026-03-01T12:00:00Z,o1,9.90\n"
        "not an address,Order Completed,2026-03-01T12:00:00Z,o2,9.90\n"
        "bob@example.com,Order Completed,yesterday,o3,9.90\n"
        "bob@example.com,Order Completed\n"
        ",Order Completed,2026-03-01T12:00:00Z,o4,9.90\n"
        "cleo@example.com,Order Completed,2026-03-02T12:00:00Z,o5,1\n",
        "utf-8",
    )
    output = nurture("import", str(path), "--historic", "--json")
    assert output.code == 1
    assert (output.document["accepted"], output.document["rejected"]) == (2, 4)
    assert output.document["by_reason"] == {"bad_address": 1, "bad_date": 1, "bad_shape": 1, "nobody": 1}
    with (nurture.folder / "orders.csv.rejected").open(encoding="utf-8-sig", newline="") as stream:
        header, *rejected = csv.reader(stream)
    assert header[-1] == "rejected_because"
    assert [row[-1].split(": ")[0] for row in rejected] == [f"orders.csv:{line}" for line in (3, 4, 5, 6)]
    # Nothing else runs on the file, so the import applied its rows itself.
    assert nurture("audience", "orders == 1", "--count", "--json").document["yes"] == 2


def test_a_file_that_is_not_there_is_named(nurture: Shell) -> None:
    nurture.install()
    output = nurture("import", "nothing.csv")
    assert output.code == 2
    assert "nothing.csv" in output.line()


def test_nobody_to_ask_means_nothing_is_sent(nurture: Shell) -> None:
    nurture.install()
    output = nurture(
        "send", "customer/advocate/presale_notice", "--occasion", "x", "--audience", "orders >= 1"
    )
    assert output.code == 2
    assert "--yes" in output.err


def test_a_second_brand_of_keys_is_refused(nurture: Shell) -> None:
    nurture.install()
    nurture.set("SUPPRESSION_KEY", "another-key-than-the-first-one")
    output = nurture("doctor")
    assert output.code == 2
    assert "NURTURE_SUPPRESSION_KEY" in output.line()


def test_a_folder_with_something_in_it_is_not_overwritten(nurture: Shell) -> None:
    (nurture.folder / "mine").mkdir()
    (nurture.folder / "mine" / "notes.txt").write_text("mine")
    output = nurture("init", "mine")
    assert output.code == 2
    assert (nurture.folder / "mine" / "notes.txt").read_text() == "mine"
