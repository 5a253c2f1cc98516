"""`nurture values`: a file of numbers is shown first, published as a version, and shown with what was refused."""

import sqlalchemy as sa

from nurture.app.installation import open_existing
from nurture.database.schema import audit
from tests.cli.shell import Shell

ADA, BOB = "ada@example.com", "bob@example.com"
VALUES = """
values:
  risk: {of: contact, bands: {low: 0%, high: 50%}}
  pull: {of: product}
"""


def test_numbers_are_shown_published_and_shown_again(nurture: Shell) -> None:
    nurture.install()
    assert nurture("init", "mine").code == 0
    programme = nurture.folder / "mine" / "playbook.yaml"
    programme.write_text(programme.read_text("utf-8") + VALUES, "utf-8")
    assert nurture("playbook", "publish", "mine", "--yes").code == 0
    for who in (ADA, BOB):
        assert nurture("track", who, "Signed In").code == 0
    nurture.work()
    file = nurture.folder / "numbers.csv"
    file.write_text(f"name,key,value\nrisk,{ADA},70%\nrisk,{BOB},0.1\nrisk,eve@example.com,1\npull,P-1,0.4\n")

    looked = nurture("values", "publish", "numbers.csv", "--dry-run", "--json")
    assert looked.code == 1, "a row was refused"
    assert looked.document["by_reason"] == {"nobody is known by it": 1}
    assert looked.document["refused"] == ["numbers.csv:4: nobody is known by it: eve@example.com"]
    assert [row["news"] for row in looked.document["values"]] == [1, 2]
    assert nurture("values", "show", "--json").document[0]["version"] is None

    done = nurture("values", "publish", "numbers.csv", "--yes", "--json")
    assert done.code == 1
    assert [(row["value"], row["version"], row["news"]) for row in done.document["values"]] == [
        ("pull", 1, 1),
        ("risk", 1, 2),
    ]
    nurture.work()
    found = nurture("values", "show", "risk", "--json").document
    assert (found["people"], found["versions"][0]["numbers"]) == ({"low": 1, "high": 1}, 3)
    assert nurture("contact", "show", ADA, "--json").document["shown_facts"]["risk"] == "high"
    assert nurture("audience", 'risk == "high"', "--count", "--json").document["yes"] == 1
    keys = nurture("values", "show", "pull", "--key", "P-1", "--json").document
    assert [row["number"] for row in keys["history"]] == ["0.4"]
    opened = open_existing()
    with opened.database.read() as connection:
        rows = connection.execute(sa.select(audit).where(audit.c.action == "values.publish")).all()
    opened.close()
    assert [row.detail for row in rows] == ['{"values":{"pull":1,"risk":1}}']


def test_wrong_use_says_what_to_change(nurture: Shell) -> None:
    nurture.install()
    (nurture.folder / "numbers.csv").write_text(f"key,value\n{ADA},1\n")
    output = nurture("values", "publish", "numbers.csv", "--yes")
    assert (output.code, "has no `values`" in output.err) == (2, True)
    output = nurture("values", "show", "risk")
    assert (output.code, "no value 'risk' in the active playbook; there are: none" in output.err) == (2, True)
