"""`nurture report churn|value|score`: from a file of orders to what a model says, or what it still needs."""

import csv
from collections import defaultdict

import pytest

from nurture.domain.instant import WEEK, Instant, to_iso
from tests.cli.shell import Shell
from tests.learning.rows import START, cdnow
from tests.measurement.shop import OFFER, a_folder, a_measure

#: So many people of each kind are just enough.
OF_EACH = 215
YEAR, END = START + 52 * WEEK, START + 78 * WEEK


def some_customers() -> dict[int, list[tuple[Instant, int]]]:
    """Return the orders of real people who bought in both of the last half years, and of some in neither."""
    orders: dict[int, list[tuple[Instant, int]]] = defaultdict(list)
    for person, _, at, _, _, amount in cdnow():
        if at < END:
            orders[person].append((at, amount))

    def bought(person: int, first: Instant, end: Instant) -> bool:
        return any(first <= at < end for at, _ in orders[person])

    periods = ((START + 26 * WEEK, YEAR), (YEAR, END))
    people = sorted(orders, key=lambda person: (len(orders[person]), person))
    both = [person for person in people if all(bought(person, *period) for period in periods)]
    neither = [person for person in people if not any(bought(person, *period) for period in periods)]
    return {person: orders[person] for person in [*both[:OF_EACH], *neither[:OF_EACH]]}


def write_orders(nurture: Shell) -> None:
    with (nurture.folder / "orders.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "event", "timestamp", "order_id", "revenue"])
        for person, rows in some_customers().items():
            for number, (at, amount) in enumerate(rows):
                order = f"{person}-{number}"
                writer.writerow([f"u{person}", "Order Completed", to_iso(at), order, f"{amount / 100:.2f}"])


def install_small_programme(nurture: Shell) -> None:
    """Install a programme that counts orders and has a single measure: it applies events quickly."""
    for path, text in a_folder({OFFER: a_measure()}).items():
        file = nurture.folder / "programme" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    nurture.set("PLAYBOOK", str(nurture.folder / "programme"))
    assert nurture("migrate").code == 0


def test_imported_orders_are_learnt_from(nurture: Shell) -> None:
    install_small_programme(nurture)
    write_orders(nurture)
    assert nurture("import", "orders.csv", "--historic").code == 0
    asked = ("report", "churn", "--weeks", "26", "--to", "1998-06-30")
    found = nurture(*asked, "--json").document
    assert (found["learnt"], found["people"], found["horizon_days"]) == (True, 2 * OF_EACH, 182)
    test = found["back_test"]
    assert (test["since"][:10], test["until"][:10]) == ("1997-12-31", "1998-07-01")
    assert test["all"]["people"] == 2 * OF_EACH
    assert test["all"]["area"] > 0.9, "those who bought in one half year buy in the next"
    shown = nurture(*asked, "--top", "1", "--locale", "zh-CN").out
    assert "back-test: 1997-12-31 to 1998-07-01" in shown
    assert "通常" in shown
    person = next(iter(some_customers()))
    one = nurture(*asked, "--who", f"id:u{person}", "--json").document["contacts"]
    reasons = {"model": 3, "recency": 1}[found["rule"]]
    assert [len(row["reasons"]["en"]) for row in one] == [reasons]
    silent = nurture("report", "churn")
    assert silent.code == 0
    assert "bought again in the last 91 days, and it takes 200" in " ".join(silent.out.split())
    assert "the newest order is of 1998-06" in " ".join(silent.out.split())


@pytest.mark.parametrize("model", ["churn", "value", "score"])
def test_over_no_data_a_report_says_what_it_needs(nurture: Shell, model: str) -> None:
    nurture.install()
    found = nurture("report", model, "--json")
    assert found.code == 0
    assert (found.document["learnt"], found.document["refused"]) == (False, "needs")
    assert f"{model}: not learnt yet: no" in nurture("report", model).out


def test_wrong_options_are_named(nurture: Shell) -> None:
    nurture.install()
    assert "--to 'soon' is not a day" in nurture("report", "value", "--to", "soon").line()
    assert "--locale fr: write en or zh-CN" in nurture("report", "score", "--locale", "fr").line()
    assert nurture("report", "churn", "--who", "eve@example.com").code == 2
