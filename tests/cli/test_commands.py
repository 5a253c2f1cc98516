"""Operators use the command: hand in, look, explain, send, stop, export."""

import json
import re

from tests.cli.shell import Shell

ADA = "ada@example.com"


def an_order(nurture: Shell, who: str = ADA, order: str = "o1") -> None:
    words = ["-p", f"order_id={order}", "-p", "revenue=19.90", "-p", "currency=EUR", "-p", "total=19.90"]
    goods = json.dumps([{"product_id": "p1", "name": "Guji", "price": 19.9, "quantity": 1}])
    assert nurture("track", who, "Order Completed", *words, "-p", f"products={goods}").code == 0


def test_an_event_by_hand_moves_the_person_and_sends_the_mail(nurture: Shell) -> None:
    nurture.install()
    an_order(nurture)
    nurture.work()
    person = nurture("contact", "show", ADA, "--json").document
    assert (person["track"], person["stage"], person["facts"]["orders"]) == ("customer", "excite", 1)
    kinds = [
        json.loads(line)["kind"] for line in nurture("contact", "timeline", ADA, "--json").out.splitlines()
    ]
    assert {"event", "track", "stage", "milestone", "run", "mail"} <= set(kinds)
    shown = nurture("contact", "show", ADA).out + nurture("contact", "timeline", ADA).out
    assert re.search(r"T\d\d:\d\d:\d\dZ", shown) is None, "people read local times"
    why = nurture("contact", "why", ADA, "customer/any/order_confirmation", "--json").document
    assert why["outcome"] == "sent"
    assert all(finding["met"] for finding in why["findings"])
    before = nurture("contact", "why", ADA, "customer/any/second_order_coupon", "--json").document
    assert before["outcome"] == "never_entered"
    assert any(
        "silent_days" in finding["value"] and "30" in finding["value"] for finding in before["findings"]
    )


def test_a_send_is_shown_first_and_a_repeated_request_sends_nothing_twice(nurture: Shell) -> None:
    nurture.install()
    an_order(nurture)
    nurture.work()
    measure = "customer/any/order_confirmation"
    refused = nurture("send", measure, "--audience", "orders >= 1", "--dry-run", "--json")
    assert (refused.code, "--set order_id=VALUE" in refused.line()) == (2, True)
    words = ("send", measure, "--audience", "orders >= 1", "--set", "order_id=o2", "--dry-run", "--json")
    dry = nurture(*words).document
    assert (dry["people"], dry["first"][0]["email"]) == (1, ADA)
    own = nurture("send", measure, "--to", ADA, "--set", "order_id=o1", "--dry-run", "--json").document
    assert own["not_entering"] == {"once": 1}
    for request in ("r1", "r2"):
        output = nurture(
            "send", measure, "--to", ADA, "--set", "order_id=o2", "--request", request, "--yes", "--json"
        )
        assert output.code == 0
        nurture.work()
    again = ("send", measure, "--to", ADA, "--set", "order_id=o2", "--again", "--request", "r3", "--json")
    assert nurture(*again).code == 2, "a repeat asks, and nobody is there to answer"
    assert nurture(*again, "--yes").code == 0
    nurture.work()
    ledger = [
        json.loads(line) for line in nurture("messages", "--measure", measure, "--json").out.splitlines()
    ]
    assert sorted(row["key"] for row in ledger) == ["o1", "o2", "o2#ops:r3"]


def test_wrong_options_of_a_send_are_named(nurture: Shell) -> None:
    nurture.install()
    an_order(nurture)
    nurture.work()
    send = ("send", "customer/advocate/presale_notice", "--occasion", "spring")
    everybody = (*send, "--audience", "True")
    for words, says in (
        (send, "name the recipients"),
        ((*everybody, "--to", ADA), "exclude each other"),
        ((*everybody, "--column", "email"), "add --file FILE"),
        ((*everybody, "--rate", "999999999/min"), "at most 36000000/h"),
        ((*everybody, "--rate", "0/h"), "500/h or 10/min"),
        ((*everybody, "--at", "2027-03-28T02:30:00+05:99"), "at most 59 minutes"),
        ((*everybody, "--at", "2027-03-28T02:30:00"), "names no time zone"),
        ((*everybody, "--at", "2062-03-28T02:30:00Z"), "more than a year ahead"),
        ((*everybody, "--at", "9999-12-31T23:59:59Z"), "more than a year ahead"),
        ((*everybody, "--request", " forecast", "--yes"), "without a blank before or after it"),
        ((*everybody, "--request", "a\nb", "--yes"), "in one line"),
        ((*everybody, "--occasion", "spring ", "--yes"), "without a blank before or after it"),
        ((*everybody, "--occasion", "  "), "without a blank before or after it"),
        ((*everybody, "--occasion", "x" * 201), "at most 200 characters"),
        ((*everybody, "--test", "ann@shop.example"), "leave --audience out"),
        ((*send[:2], "--rate", "5/h", "--test", "ann@shop.example"), "leave --rate out"),
        ((*send[:2], "--to", ADA, "--to", ADA, "--test", "ann@shop.example"), "name one with --to"),
        ((*send, "--audience", "orders >="), "audience 'orders >=', column 10: cannot be read here"),
        (("messages", "--status", "sended"), "write one of: waiting"),
        (("messages", "--measure", "customer/any/nosuch"), "no measure 'customer/any/nosuch'"),
        (("messages", "--limit", "9" * 30), "larger than any that is stored"),
        (("conflicts", "decide", "9" * 30, "--merge"), "larger than any that is stored"),
        (("conflicts", "show", "9" * 30), "larger than any that is stored"),
    ):
        refused = nurture(*words)
        assert (refused.code, says in refused.line()) == (2, True), refused.err


def test_pause_holds_everything_and_resume_lets_it_go(nurture: Shell) -> None:
    nurture.install()
    assert nurture("pause", "all", "--reason", "checking").code == 0
    an_order(nurture)
    nurture.work()
    held = [json.loads(line) for line in nurture("messages", "--json").out.splitlines()]
    assert {row["status"] for row in held} == {"waiting"}
    why = nurture("contact", "why", ADA, "customer/any/order_confirmation", "--json").document
    assert "checking" in why["answer"]
    assert nurture("resume", "all").code == 0
    nurture.work()
    sent = [json.loads(line) for line in nurture("messages", "--status", "sent", "--json").out.splitlines()]
    assert len(sent) == len(held)


def test_merge_consent_export_and_doctor(nurture: Shell) -> None:
    nurture.install()
    an_order(nurture)
    an_order(nurture, "id:42", "o2")
    nurture.work()
    assert nurture("contact", "merge", ADA, "id:42", "--yes").code == 0
    nurture.work()
    person = nurture("contact", "show", "id:42", "--json").document
    assert (person["facts"]["orders"], len(person["merged"])) == (2, 1)
    assert nurture("contact", "consent", ADA, "offers", "withdrawn").code == 0
    shown = nurture("contact", "show", ADA, "--json").document
    assert [(c["topic"], c["state"]) for c in shown["consents"]] == [("offers", "withdrawn")]
    rows = nurture(
        "export", "contacts", "--audience", "orders == 2", "--facts", "orders", "--json"
    ).out.splitlines()
    assert [json.loads(row)["orders"] for row in rows] == [2]
    examined = nurture("doctor", "--json")
    assert [finding for finding in examined.document if not finding["ok"]] == []


def test_reports_add_up(nurture: Shell) -> None:
    nurture.install()
    an_order(nurture)
    nurture.work()
    for row in nurture("report", "measures", "--json").document:
        ended = ("sent", "skipped", "cancelled", "expired", "failed", "in_doubt", "waiting")
        assert row["planned"] == sum(row[name] for name in ended)
    stages = nurture("report", "stages", "--json").document
    assert [(row["track"], row["stage"], row["people"]) for row in stages if row["people"]] == [
        ("customer", "excite", 1)
    ]
    shown = nurture("report", "stages", "--stalled", "5").out
    assert "needs 19 more to leave" in shown
    assert "nobody, as far as the usual time is known" in shown


def test_a_programme_of_ones_own_is_checked_compared_published_and_rolled_back(nurture: Shell) -> None:
    nurture.install()
    assert nurture("init", "mine").code == 0
    path = nurture.folder / "mine/customer/any/birthday/measure.yaml"
    path.write_text(
        path.read_text("utf-8").replace("valid_for: ", "# mine\nvalid_for: 1h # ", 1),
        "utf-8",
    )
    assert nurture("playbook", "check", "mine").code == 0
    changes = nurture("playbook", "publish", "mine", "--dry-run", "--json").document
    assert [row["measure"] for row in changes if "rules" in row["change"]] == ["customer/any/birthday"]
    assert nurture("playbook", "publish", "mine", "--yes").code == 0
    target = nurture("playbook", "rollback", "--dry-run", "--json").document
    assert (target["playbook"], target["actor"]) == (1, "migrate")
    assert [row["measure"] for row in target["changes"] if "rules" in row["change"]] == [
        "customer/any/birthday"
    ]
    assert "playbook 1, published " in nurture("playbook", "rollback").err
    assert nurture("playbook", "rollback", "--yes").code == 0


def test_the_exact_mail_is_shown_in_both_languages(nurture: Shell) -> None:
    nurture.install()
    english = nurture("preview", "customer/any/order_shipped", "--json").document
    chinese = nurture("preview", "customer/any/order_shipped", "--locale", "zh-CN", "--json").document
    assert english["html"].startswith("<!doctype html>")
    assert english["subject"] != chinese["subject"]


def test_every_command_explains_itself(nurture: Shell) -> None:
    for words in (
        ("import",),
        ("contact", "why"),
        ("audience",),
        ("playbook", "publish"),
        ("send",),
        ("up",),
    ):
        output = nurture(*words, "--help")
        assert output.code == 0
        assert "Usage" in output.out
    assert nurture("no-such-command").code == 2
