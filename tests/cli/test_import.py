"""`nurture import` and `nurture track` as commands: counts, exit codes, and rows applied where nothing else runs."""

from pathlib import Path

from nurture.app.process_lock import hold_installation_lock
from nurture.runtime.settings import load_settings
from tests.architecture.sources import ROOT
from tests.cli.shell import Shell

EXPORTS = ROOT / "tests/importing/exports"


def copied(shell: Shell, name: str) -> str:
    path = shell.folder / name
    path.write_bytes((EXPORTS / name).read_bytes())
    return str(path)


def waiting(shell: Shell) -> int:
    """Return how many people are known; none before the rows are applied."""
    return int(shell("audience", "True", "--count", "--json").document["yes"])


def test_an_import_on_a_command_line(nurture: Shell) -> None:
    assert nurture("migrate").code == 0
    path = copied(nurture, "shopify_orders_export.csv")
    options = ("import", path, "--preset", "shopify-orders", "--json")
    looked = nurture(*options, "--dry-run")
    assert (looked.code, looked.document["dry_run"], waiting(nurture)) == (1, True, 0)
    done = nurture(*options)
    assert done.code == 1
    document = done.document
    assert (document["accepted"], document["rejected"], document["rows"]) == (12, 2, 14)
    assert document["by_reason"] == {"bad_date": 1, "bad_money": 1}
    assert (document["first"][:10], document["last"][:10]) == ("2026-09-03", "2026-09-13")
    assert (document["consents"], document["suppressions"]) == (
        {"granted": 0, "withdrawn": 0, "pending": 0},
        0,
    )
    assert (document["orders"], document["orders_net"], document["encoding"]) == (7, 6, "utf-8")
    # The command applied the rows itself; the same file again changes nothing.
    assert waiting(nurture) == 5
    again = nurture(*options)
    assert (again.document["accepted"], again.document["already_done"], waiting(nurture)) == (12, True, 5)
    people = nurture("import", path, "--preset", "shopify-orders")
    assert people.code == 1
    assert "yesterday" in people.out
    refused = nurture(
        "import", copied(nurture, "woocommerce_analytics_orders.csv"), "--preset", "woocommerce-orders"
    )
    assert refused.code == 2
    assert "WebToffee" in refused.line()


def test_rows_wait_for_a_process_that_runs_already(nurture: Shell) -> None:
    assert nurture("migrate").code == 0
    path = Path(nurture.folder / "people.csv")
    path.write_text("email,consent_news\na@b.example,yes\n")
    with hold_installation_lock(load_settings()):
        assert nurture("import", str(path), "--kind", "contacts").code == 0
        assert nurture("track", "c@b.example", "Article Read").code == 0
        # The consent made the contact; its events wait.
        assert waiting(nurture) == 1
    assert nurture("track", "d@b.example", "Article Read").code == 0
    assert waiting(nurture) == 3
