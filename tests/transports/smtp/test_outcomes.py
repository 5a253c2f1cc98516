"""SMTP outcomes: the stage at which the session ended and the reply decide the outcome of the mail."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from nurture.transports.types import OutgoingMail
from tests.transports.chaos_smtp import Behaviour, Cut, Later, Stall, chaos
from tests.transports.mails import DATA, a_mail, make_mails, send


@dataclass(frozen=True)
class Case:
    script: dict[str, Behaviour]
    outcome: str
    stage: str
    code: str
    suppress: bool = False
    slow: bool = False
    stored: int = 0
    options: str = ""


CASES = {
    "accepted": Case({}, "sent", "replied", "250 2.0.0", stored=1),
    # before the final dot everything is a plain retry
    "greeting says 421": Case({"connect": "421 4.3.2 busy"}, "retry", "connect", "421 4.3.2"),
    "greeting says 554": Case({"connect": "554 5.7.1 listed"}, "lane_paused", "connect", "554 5.7.1"),
    "cut at greeting": Case({"connect": Cut()}, "retry", "connect", ""),
    "silence at greeting": Case({"connect": Stall()}, "retry", "connect", "", options="greeting=0.3"),
    "EHLO refused for now": Case({"ehlo": "451 4.3.0 later"}, "retry", "greeted", "451 4.3.0"),
    "MAIL for later": Case({"mail": "451 4.3.0 later"}, "retry", "mail", "451 4.3.0"),
    "cut at MAIL": Case({"mail": Cut()}, "retry", "mail", ""),
    "silence at MAIL": Case({"mail": Stall()}, "retry", "mail", "", options="command=0.3"),
    "421 at MAIL": Case({"mail": "421 4.3.2 bye"}, "retry", "mail", "421 4.3.2"),
    "RCPT for later": Case({"rcpt": "450 4.2.0 greylisted"}, "retry", "rcpt", "450 4.2.0"),
    "cut at RCPT": Case({"rcpt": Cut()}, "retry", "rcpt", ""),
    "cut at DATA": Case({"data": Cut()}, "retry", "data", ""),
    "DATA for later": Case({"data": "451 4.3.0 later"}, "retry", "data", "451 4.3.0"),
    # after it only the reply tells
    "cut after the dot, not kept": Case({"dot": Cut()}, "in_doubt", "dot", ""),
    "cut after the dot, kept": Case({"dot": Cut(store=True)}, "in_doubt", "dot", "", stored=1),
    "silence after the dot": Case(
        {"dot": Stall(store=True)}, "in_doubt", "dot", "", stored=1, options="dot=0.3"
    ),
    "half a reply, then cut": Case({"dot": Cut(after="250-2.0.0 on")}, "in_doubt", "dot", ""),
    "4yz after the dot": Case({"dot": "451 4.3.0 later"}, "retry", "replied", "451 4.3.0"),
    "421 after the dot": Case({"dot": "421 4.3.2 bye"}, "retry", "replied", "421 4.3.2"),
    "unreadable after the dot": Case({"dot": "taken, thank you"}, "retry", "replied", ""),
    "quit fails after 250": Case({"quit": Cut()}, "sent", "replied", "250 2.0.0", stored=1),
    "kept, then cut": Case({"dot": "250 ok", "quit": Stall()}, "sent", "replied", "250", stored=1),
    # whose fault it is
    "no such user": Case({"rcpt": "550 5.1.1 unknown"}, "failed", "rcpt", "550 5.1.1", suppress=True),
    "no such domain": Case({"rcpt": "550 5.1.2 no host"}, "failed", "rcpt", "550 5.1.2", suppress=True),
    "no such user, old server": Case({"rcpt": "550 User unknown"}, "failed", "rcpt", "550", suppress=True),
    "no such user, told after the dot": Case(
        {"dot": "550 5.1.1 unknown"}, "failed", "replied", "550 5.1.1", suppress=True
    ),
    "550 without a reason": Case({"rcpt": "550 unavailable"}, "failed", "rcpt", "550"),
    "550 policy, old server": Case({"rcpt": "550 rejected as spam"}, "lane_paused", "rcpt", "550"),
    "mailbox full": Case({"rcpt": "552 5.2.2 over quota"}, "retry", "rcpt", "552 5.2.2"),
    "mailbox disabled": Case({"rcpt": "550 5.2.1 disabled"}, "failed", "rcpt", "550 5.2.1"),
    "policy at RCPT": Case({"rcpt": "550 5.7.1 relaying denied"}, "lane_paused", "rcpt", "550 5.7.1"),
    "policy after the dot": Case({"dot": "554 5.7.1 spam"}, "lane_paused", "replied", "554 5.7.1"),
    "sender refused": Case({"mail": "550 5.1.8 bad sender"}, "lane_paused", "mail", "550 5.1.8"),
    "sender refused, bare": Case({"mail": "550 no"}, "lane_paused", "mail", "550"),
    "authentication wanted": Case({"mail": "530 5.7.0 log in"}, "lane_paused", "mail", "530 5.7.0"),
    "bare 535": Case({"rcpt": "535 credentials"}, "lane_paused", "rcpt", "535"),
    "too fast": Case({"mail": "450 4.7.1 slow"}, "retry", "mail", "450 4.7.1", slow=True),
    "too fast, bare": Case({"rcpt": "451 too many messages"}, "retry", "rcpt", "451", slow=True),
    "too large": Case({"dot": "552 5.3.4 too big"}, "failed", "replied", "552 5.3.4"),
    "too large, bare": Case({"mail": "552 size"}, "failed", "mail", "552"),
    "content refused": Case({"dot": "550 5.6.0 bad mime"}, "failed", "replied", "550 5.6.0"),
    # words and inner codes before 5.1.x (domain.inbound.refusals)
    "spf under 5.1.1": Case(
        {"rcpt": "550 5.1.1 not allowed to send, SPF"}, "lane_paused", "rcpt", "550 5.1.1"
    ),
    "hourly limit under 5.1.1": Case(
        {"rcpt": "550 5.1.1 too many recipients this hour"}, "retry", "rcpt", "550 5.1.1", slow=True
    ),
    "block list under 5.1.3": Case(
        {"rcpt": "550 5.1.3 see http://www.spamhaus.org/"}, "lane_paused", "rcpt", "550 5.1.3"
    ),
    "full mailbox in a wrapper": Case(
        {"rcpt": "550 5.1.0 Unknown address error 550-'5.2.2 Mailbox Full'"}, "retry", "rcpt", "550 5.1.0"
    ),
    "no account, told after the dot": Case(
        {"dot": "554 This user doesn't have a yahoo.com account"}, "failed", "replied", "554", suppress=True
    ),
    "Microsoft access denied": Case(
        {"rcpt": "550 5.4.1 Recipient address rejected: Access denied"},
        "failed",
        "rcpt",
        "550 5.4.1",
        suppress=True,
    ),
    "account disabled": Case(
        {"rcpt": "550 5.2.1 account disabled"}, "failed", "rcpt", "550 5.2.1", suppress=True
    ),
    "address named like a rule": Case(
        {"rcpt": "550 5.1.1 <spam.policy@x.test> unknown"}, "failed", "rcpt", "550 5.1.1", suppress=True
    ),
    "reputation for now": Case(
        {"mail": "451 rate limited due to IP reputation"}, "retry", "mail", "451", slow=True
    ),
    "block list for now": Case({"rcpt": "450 listed in a DNSBL"}, "retry", "rcpt", "450", slow=True),
    # replies that are none
    "not ASCII": Case(
        {"rcpt": "550 5.1.1 Empfänger unbekannt \udcff"}, "failed", "rcpt", "550 5.1.1", suppress=True
    ),
    "several lines": Case({"rcpt": "450 4.2.0 one\n450 4.2.0 two"}, "retry", "rcpt", "450 4.2.0"),
    "codes that differ": Case({"rcpt": "250 yes\n550 no"}, "retry", "rcpt", ""),
    "nonsense": Case({"rcpt": "maybe"}, "retry", "rcpt", ""),
    "wrong hundred": Case({"data": "250 fine"}, "retry", "data", "250"),
    "enhanced code of another class": Case({"rcpt": "450 5.1.1 hm"}, "retry", "rcpt", "450"),
}


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_outcome(case: Case, pipelining: bool) -> None:
    extensions = ["PIPELINING"] if pipelining else []
    with chaos(case.script, extensions=extensions) as server:
        [outcome] = send(server.url, [a_mail()], case.options)
        assert (outcome.outcome, outcome.stage, outcome.code) == (case.outcome, case.stage, case.code)
        assert (outcome.suppress, outcome.slow) == (case.suppress, case.slow)
        assert len(server.accepted) == case.stored


def test_connection_refused_is_a_retry_for_every_mail() -> None:
    with chaos() as server:
        port = server.port
    outcomes = send(f"smtp://127.0.0.1:{port}", make_mails(5))
    assert [outcome.outcome for outcome in outcomes] == ["retry"] * 5
    assert {outcome.stage for outcome in outcomes} == {"connect"}
    assert {outcome.reply for outcome in outcomes} == {"Connection refused"}


def test_a_host_without_an_address_is_a_retry() -> None:
    [outcome] = send("smtp://nowhere.invalid:25", [a_mail()], "tls=none")
    assert (outcome.outcome, outcome.stage) == ("retry", "connect")
    assert "nowhere.invalid" in outcome.reply


def test_of_an_open_end_nothing_is_taken_that_cannot_begin() -> None:
    with chaos() as server:
        port = server.port
    taken: list[int] = []

    def endless() -> Iterator[OutgoingMail]:
        for number in range(100):
            taken.append(number)
            yield a_mail(number)

    assert len(send(f"smtp://127.0.0.1:{port}", endless())) == len(taken) <= 2


def test_our_own_fault_stops_the_rest_of_the_window() -> None:
    with chaos({"mail": "550 5.7.1 your reputation"}) as server:
        outcomes = send(server.url, make_mails(20), "connections=2")
        assert {outcome.outcome for outcome in outcomes} == {"lane_paused"}
        assert len(outcomes) == 20
        assert sum(command.startswith("MAIL") for command in server.commands) <= 2


def test_one_bad_address_does_not_stop_the_others() -> None:
    def answer(line: str) -> str:
        return "550 5.1.1 unknown" if "bad" in line else "250 ok"

    mixed = [a_mail(n, recipient=f"{'bad' if n % 3 == 0 else 'good'}{n}@x.test") for n in range(30)]
    with chaos({"rcpt": answer}) as server:
        outcomes = {outcome.message_id: outcome for outcome in send(server.url, mixed, "connections=2")}
        for number, outcome in outcomes.items():
            assert outcome.outcome == ("failed" if number % 3 == 0 else "sent")
        assert len(outcomes) == 30
        assert len(server.accepted) == 20
        assert not any("bad" in mail.recipients[0] for mail in server.accepted)


def test_a_server_that_wants_a_text_without_a_recipient_gets_none() -> None:
    # Some answer 354 although they refused the only recipient.
    script = {"rcpt": ["550 5.1.1 no", "250 ok"], "data": "354 go", "dot": ["554 5.5.1 nobody", "250 ok"]}
    with chaos(script) as server:
        outcomes = send(server.url, [a_mail(1), a_mail(2)], "connections=1")
        assert [outcome.outcome for outcome in outcomes] == ["failed", "sent"]
        assert [mail.raw for mail in server.accepted] == [DATA]


def test_a_server_that_wants_a_text_after_it_refused_mail_is_left() -> None:
    with chaos({"mail": ["550 5.3.4 no", "250 ok"], "rcpt": "250 ok", "data": "354 go"}) as server:
        outcomes = send(server.url, [a_mail(1), a_mail(2)], "connections=1")
        assert [outcome.outcome for outcome in outcomes] == ["failed", "sent"]
        assert [mail.raw for mail in server.accepted] == [DATA]
        assert server.connections == 2


def test_mails_behind_a_lost_connection_go_over_another() -> None:
    with chaos({"dot": ["250 ok", "250 ok", Cut(), "250 ok"]}) as server:
        outcomes = {
            outcome.message_id: outcome.outcome
            for outcome in send(server.url, make_mails(8), "connections=1")
        }
        assert sorted(outcomes.values()) == ["in_doubt"] + ["sent"] * 7
        assert len(server.accepted) == 7
        assert server.connections == 2


def test_a_server_that_ends_full_connections_gets_new_ones() -> None:
    with chaos({"mail": ["250 ok", "250 ok", "421 4.7.0 enough on this connection", "250 ok"]}) as server:
        outcomes = send(server.url, make_mails(6), "connections=1")
        assert [outcome.outcome for outcome in outcomes] == ["sent"] * 6
        assert server.connections == 2


def test_a_server_that_refuses_further_connections_is_served_on_those_it_allows() -> None:
    with chaos({"connect": ["220 ok", "220 ok", "421 4.7.0 too many connections"]}) as server:
        outcomes = send(server.url, make_mails(40), "connections=10")
        assert [outcome.outcome for outcome in outcomes] == ["sent"] * 40


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [("450 4.7.1 try again in 30 seconds", 30), ("451 please retry after 5 min", 300), ("451 later", None)],
)
def test_a_server_may_ask_to_wait(reply: str, seconds: int | None) -> None:
    with chaos({"rcpt": reply}) as server:
        [outcome] = send(server.url, [a_mail()])
        assert outcome.retry_after == (None if seconds is None else seconds * 1_000_000)


def test_mails_that_waited_too_long_for_a_connection_go_back_to_the_gate() -> None:
    with chaos({"dot": Later(0.5)}) as server:
        outcomes = send(server.url, make_mails(5), "connections=1&fresh=0.4")
        assert [outcome.outcome for outcome in outcomes].count("sent") == 1
        stale = [outcome for outcome in outcomes if outcome.outcome == "retry"]
        assert {(outcome.stage, outcome.retry_after) for outcome in stale} == {("connect", 0)}
        assert len(server.accepted) == 1
