"""The SMTP session: which commands the client sends, in which order, over how many connections."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nurture.domain.errors import SettingsError
from nurture.transports.smtp.connection import SmtpConnection
from nurture.transports.smtp.envelope import dot_stuff
from nurture.transports.smtp.options import SmtpOptions, read_smtp_url
from nurture.transports.smtp.pool import SendCall, SmtpTransport
from nurture.transports.smtp.socket import SmtpSocket
from nurture.transports.types import OutgoingMail
from tests.transports.certificates import Authority
from tests.transports.chaos_smtp import ChaosSmtp, Cut, Later, Stall, chaos
from tests.transports.mails import DATA, a_mail, make_mails, send


@pytest.fixture
def server() -> Iterator[ChaosSmtp]:
    with chaos() as server:
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


# ---- mails on connections --------------------------------------------------------------------------------


def test_every_mail_arrives_once_and_whole(server: ChaosSmtp) -> None:
    assert {outcome.outcome for outcome in send(server.url, make_mails(200))} == {"sent"}
    assert len(server.accepted) == 200
    assert {mail.data for mail in server.accepted} == {DATA}
    assert {mail.sender for mail in server.accepted} == {"bounce@shop.test"}


def test_connections_are_kept_between_calls(server: ChaosSmtp) -> None:
    transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=1"))
    for _ in range(5):
        assert [outcome.outcome for outcome in transport.send(make_mails(3))] == ["sent"] * 3
    transport.close()
    assert server.connections == 1
    assert server.commands.count("QUIT") <= 1


def test_a_connection_carries_no_more_mails_than_allowed(server: ChaosSmtp) -> None:
    assert len(send(server.url, make_mails(25), "connections=1&per_connection=10")) == 25
    assert server.connections == 3


def test_a_kept_connection_that_the_server_closed_costs_no_mail() -> None:
    with chaos({"dot": ["250 ok", Cut(after="250 ok"), "250 ok"]}) as server:
        transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=1"))
        for _ in range(3):
            assert [outcome.outcome for outcome in transport.send(make_mails(1))] == ["sent"]
        transport.close()
        assert server.connections == 2


def test_a_kept_connection_that_ends_at_its_next_command_costs_no_mail() -> None:
    with chaos({"mail": ["250 ok", Cut(), "250 ok"]}) as server:
        transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=1"))
        for _ in range(2):
            assert [outcome.outcome for outcome in transport.send(make_mails(1))] == ["sent"]
        transport.close()
        assert server.connections == 2


def test_an_idle_connection_is_given_up_in_time(server: ChaosSmtp) -> None:
    transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=1&idle=0.000001"))
    for _ in range(3):
        assert [outcome.outcome for outcome in transport.send(make_mails(1))] == ["sent"]
    transport.close()
    assert server.connections == 3


def test_a_connection_that_never_opened_is_not_taken_up_again() -> None:
    with chaos({"connect": ["220 ready", Stall()]}) as server:
        transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=2"))
        assert [outcome.outcome for outcome in transport.send(make_mails(2))] == ["sent"] * 2
        [hanging] = [connection for connection in transport._spare if connection.is_starting]
        assert hanging.is_reusable(idle_seconds=30)
        hanging.deadline = 1.0
        assert not hanging.is_reusable(idle_seconds=30)
        assert [outcome.outcome for outcome in transport.send(make_mails(2))] == ["sent"] * 2
        transport.close()
        assert not hanging.open


def test_threads_share_the_connections(server: ChaosSmtp) -> None:
    # 180 mails: no connection has had enough before the end, so none is replaced by a fourth.
    transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=3&per_connection=180"))
    outcomes: list[str] = []

    def work(place: int) -> None:
        mine = [a_mail(place * 100 + number) for number in range(30)]
        outcomes.extend(outcome.outcome for outcome in transport.send(mine))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transport.close()
    assert outcomes == ["sent"] * 180
    assert server.connections <= 3


@pytest.fixture
def most_open(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Count the sockets that are open on our side; give a function that tells the most there were at once."""
    counted: set[SmtpSocket] = set()
    most = [0]
    open_socket, close_socket = SmtpSocket.__init__, SmtpSocket.close

    def count_on(self: SmtpSocket, family: int, *, tls: bool) -> None:
        open_socket(self, family, tls=tls)
        counted.add(self)
        most[0] = max(most[0], len(counted))

    def count_off(self: SmtpSocket) -> None:
        close_socket(self)
        counted.discard(self)

    monkeypatch.setattr(SmtpSocket, "__init__", count_on)
    monkeypatch.setattr(SmtpSocket, "close", count_off)
    return lambda: most[0]


def test_a_connection_that_had_enough_mails_is_closed_before_another_replaces_it(
    most_open: Callable[[], int],
) -> None:
    # One connection carries everything while two still wait for their greeting: the server sees a fourth in all.
    with chaos({"connect": ["220 ready", Stall(), Stall(), "220 ready"]}) as server:
        assert len(send(server.url, make_mails(180), "connections=3&per_connection=100")) == 180
        assert server.connections == 4
    assert most_open() == 3


@pytest.mark.parametrize(
    ("end", "mails"),
    # More than a slow machine may have sent by the time the first outcome is read.
    [("given back with a mail on it", 1_000), ("the pool is closed", 50)],
)
def test_no_connection_replaces_another_that_is_not_closed_yet(
    server: ChaosSmtp, monkeypatch: pytest.MonkeyPatch, end: str, mails: int
) -> None:
    transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=1"))
    iteration = transport.send(make_mails(mails))
    next(iteration)
    if end == "the pool is closed":
        assert len(list(iteration)) == mails - 1
    refused: list[bool] = []
    close = SmtpConnection.close

    def close_while_another_thread_asks(connection: SmtpConnection) -> None:
        if connection.open:
            ask = threading.Thread(target=lambda: refused.append(transport.acquire(address, call) is None))
            ask.start()
            ask.join()
        close(connection)

    call = SendCall(transport, [])
    address = (socket.AF_INET, ("127.0.0.1", server.port))
    monkeypatch.setattr(SmtpConnection, "close", close_while_another_thread_asks)
    if end == "the pool is closed":
        transport.close()
    else:
        iteration.close()  # type: ignore[attr-defined]
    assert refused == [True]
    later = transport.acquire(address, call)
    assert later is not None
    later.close()


def test_a_socket_that_cannot_be_opened_takes_no_place(server: ChaosSmtp) -> None:
    transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=1"))
    with pytest.raises(OSError, match="family"):
        transport.acquire((9999, ("127.0.0.1", server.port)), SendCall(transport, []))
    assert [outcome.outcome for outcome in transport.send(make_mails(1))] == ["sent"]
    transport.close()


def test_an_address_family_that_the_system_lacks_is_passed_over(
    server: ChaosSmtp, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback = ("127.0.0.1", server.port)
    entries = [
        (9999, socket.SOCK_STREAM, 0, "", loopback),
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", loopback),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    assert [outcome.outcome for outcome in send(server.url, make_mails(3))] == ["sent"] * 3
    del entries[1]
    (outcome,) = send(server.url, make_mails(1))
    assert (outcome.outcome, outcome.stage) == ("retry", "connect")


def test_threads_of_a_forked_process_begin_with_one_count(server: ChaosSmtp) -> None:
    transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=1"))
    transport._pid = -1
    call, address = SendCall(transport, []), (socket.AF_INET, ("127.0.0.1", server.port))
    transport.begin_in_process()
    connection = transport.acquire(address, call)
    assert connection is not None
    transport.begin_in_process()  # the second thread, which saw the old process too
    assert transport.acquire(address, call) is None
    connection.close()


def test_a_forked_process_does_not_speak_on_its_parents_connections(server: ChaosSmtp) -> None:
    transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=1"))
    assert [outcome.outcome for outcome in transport.send(make_mails(1))] == ["sent"]
    child = os.fork()
    if child == 0:
        os._exit(0 if [outcome.outcome for outcome in transport.send(make_mails(1))] == ["sent"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert [outcome.outcome for outcome in transport.send(make_mails(1))] == ["sent"]
    transport.close()
    assert server.connections == 2
    assert len(server.accepted) == 3


def test_a_broken_off_iteration_leaves_no_half_sent_mail_behind(server: ChaosSmtp) -> None:
    transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=2"))
    iteration = transport.send(make_mails(50))
    next(iteration)
    iteration.close()  # type: ignore[attr-defined]
    assert [outcome.outcome for outcome in transport.send(make_mails(3))] == ["sent"] * 3
    transport.close()
    assert {mail.data for mail in server.accepted} == {DATA}


def test_one_slow_mail_does_not_keep_the_others_waiting() -> None:
    with chaos({"dot": [Stall(store=True), "250 ok"]}) as server:
        outcomes = send(server.url, make_mails(20), "connections=2&dot=0.6")
        assert [outcome.outcome for outcome in outcomes] == ["sent"] * 19 + ["in_doubt"]


def test_a_mail_is_taken_only_when_it_can_begin() -> None:
    with chaos({"dot": Later(0.02)}) as server:
        begun: list[int] = []
        ahead: list[int] = []

        def gate() -> Iterator[OutgoingMail]:
            for number in range(20):
                begun.append(number)
                yield a_mail(number)

        transport = SmtpTransport(read_smtp_url(f"{server.url}?connections=2"))
        for yielded, _ in enumerate(transport.send(gate()), start=1):
            ahead.append(len(begun) - yielded)
        transport.close()
        # Under way on two connections, behind each one's final dot, one in hand, and an outcome not yet told.
        assert max(ahead) <= 6


# ---- what is said ----------------------------------------------------------------------------------------


def test_the_next_envelope_stands_behind_the_final_dot_but_never_a_second_dot() -> None:
    unanswered = threading.Semaphore(1)
    worst: list[bool] = []

    def answer(_: str) -> str:
        worst.append(unanswered.acquire(blocking=False))
        unanswered.release()
        return "250 ok"

    with chaos({"dot": answer}) as server:
        send(server.url, make_mails(10), "connections=1")
        assert all(worst)
        assert [line.split(":")[0] for line in server.commands if line != "QUIT"] == [
            "EHLO [127.0.0.1]",
            *["MAIL FROM", "RCPT TO", "DATA"] * 10,
        ]


def test_after_a_refusal_the_transaction_is_reset() -> None:
    with chaos({"rcpt": ["550 5.1.1 no", "250 ok"]}) as server:
        assert [outcome.outcome for outcome in send(server.url, make_mails(2), "connections=1")] == [
            "failed",
            "sent",
        ]
        assert server.commands.count("RSET") == 1


def test_an_old_server_gets_helo_and_no_extension() -> None:
    with chaos({"ehlo": ["502 what", "250 hello"]}) as server:
        assert [outcome.outcome for outcome in send(server.url, make_mails(2), "connections=1")] == [
            "sent"
        ] * 2
        assert server.commands[1].startswith("HELO")
        assert not any("SIZE" in command for command in server.commands)


@pytest.mark.parametrize(
    "text",
    [
        b".\r\n",
        b"..\r\n",
        b"a\r\n.\r\n",
        b"a\r\n.b\r\n",
        b".\r\n.\r\n.\r\n",
        b"\r\n.\r\nMAIL FROM:<evil@x.test>\r\n",
    ],
)
def test_lone_dots_arrive_as_they_were(server: ChaosSmtp, text: bytes) -> None:
    data = DATA + text
    assert [outcome.outcome for outcome in send(server.url, [a_mail(data=data)])] == ["sent"]
    assert [mail.data for mail in server.accepted] == [data]
    assert dot_stuff(text).startswith(b"." + text[:1] if text.startswith(b".") else text[:1])


@pytest.mark.parametrize("data", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n\n.\n\r\n", b"no end", b"\r\n.\r"])
def test_a_line_without_crlf_is_refused_and_nothing_is_sent(server: ChaosSmtp, data: bytes) -> None:
    [outcome] = send(server.url, [a_mail(data=data)])
    assert (outcome.outcome, outcome.suppress) == ("failed", False)
    assert not any(command.startswith("MAIL") for command in server.commands)


@pytest.mark.parametrize(
    "recipient", ["a@x.test>\r\nRCPT TO:<b@x.test", "a b@x.test", "a@x.test\x00", "<a@x.test", "nobody", ""]
)
def test_an_envelope_address_cannot_say_more_than_itself(server: ChaosSmtp, recipient: str) -> None:
    [outcome] = send(server.url, [a_mail(recipient=recipient)])
    assert (outcome.outcome, outcome.suppress) == ("failed", False)
    assert not any(command.startswith(("MAIL", "RCPT")) for command in server.commands)


def test_five_megabytes_go_through() -> None:
    data = DATA + b"x" * 70 + b"\r\n" + (b"y" * 74 + b"\r\n") * 70_000
    with chaos(extensions=["PIPELINING"]) as server:
        assert [
            outcome.outcome for outcome in send(server.url, [a_mail(data=data)] * 2, "connections=1")
        ] == ["sent"] * 2
        assert [mail.data for mail in server.accepted] == [data] * 2


def test_a_mail_larger_than_the_server_takes_is_not_begun() -> None:
    with chaos(extensions=["PIPELINING", "SIZE 10"]) as server:
        [outcome] = send(server.url, [a_mail()])
        assert (outcome.outcome, outcome.suppress) == ("failed", False)
        assert "10" in outcome.reply
        assert not any(command.startswith("MAIL") for command in server.commands)


def test_the_size_is_declared(server: ChaosSmtp) -> None:
    send(server.url, [a_mail()])
    assert [mail.parameters for mail in server.accepted] == [f"SIZE={len(DATA)}"]


def test_an_address_beyond_ascii_needs_a_server_that_takes_it() -> None:
    mail = a_mail(recipient="jürgen@x.test")
    with chaos(extensions=["SMTPUTF8"]) as server:
        assert [outcome.outcome for outcome in send(server.url, [mail])] == ["sent"]
        assert [(mail.recipients, mail.parameters) for mail in server.accepted] == [
            (("jürgen@x.test",), "SMTPUTF8")
        ]
    with chaos(extensions=[]) as server:
        [outcome] = send(server.url, [mail])
        assert (outcome.outcome, outcome.suppress) == ("failed", False)
        assert outcome.reply.startswith("undeliverable")


def test_eight_bit_text_needs_a_server_that_takes_it() -> None:
    mail = a_mail(data=DATA + "zwölf\r\n".encode())
    with chaos(extensions=["8BITMIME"]) as server:
        assert [outcome.outcome for outcome in send(server.url, [mail])] == ["sent"]
        assert [mail.parameters for mail in server.accepted] == ["BODY=8BITMIME"]
    with chaos(extensions=[]) as server:
        assert [outcome.outcome for outcome in send(server.url, [mail])] == ["failed"]


def test_a_reply_without_end_is_not_read_for_ever() -> None:
    endless = "\n".join(["250 more"] * 5000)
    with chaos({"rcpt": endless}) as server:
        assert [outcome.outcome for outcome in send(server.url, make_mails(1))] == ["retry"]
    with chaos({"rcpt": "250 " + "x" * 1_000_000}) as server:
        assert [outcome.outcome for outcome in send(server.url, make_mails(1))] == ["retry"]


def test_the_listener_is_called_before_the_dot_leaves_and_after_the_reply(server: ChaosSmtp) -> None:
    heard: list[tuple[int, str, str, int]] = []

    def listen(mail: OutgoingMail, stage: str, reply: str) -> None:
        heard.append((mail.message_id, stage, reply, len(server.accepted)))

    send(server.url, make_mails(2), "connections=1", on_stage=listen)
    assert heard == [
        (0, "dot", "", 0),
        (0, "replied", "250 2.0.0", 1),
        (1, "dot", "", 1),
        (1, "replied", "250 2.0.0", 2),
    ]


# ---- authentication and TLS ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "command"), [("PLAIN LOGIN", "AUTH PLAIN AG1lAHDDpHNz"), ("LOGIN", "cMOkc3M=")]
)
def test_it_logs_in(offer: str, command: str) -> None:
    with chaos(extensions=["PIPELINING", f"AUTH {offer}"]) as server:
        url = f"smtp://me:p%C3%A4ss@127.0.0.1:{server.port}"
        assert [outcome.outcome for outcome in send(url, make_mails(1))] == ["sent"]
        assert command in server.commands


@pytest.mark.parametrize(
    ("script", "extensions", "result"),
    [
        ({"auth": "535 5.7.8 wrong"}, ["AUTH PLAIN"], "lane_paused"),
        ({"auth": "454 4.7.0 later"}, ["AUTH PLAIN"], "retry"),
        ({}, ["AUTH CRAM-MD5"], "lane_paused"),
        ({}, [], "lane_paused"),
    ],
)
def test_a_failed_login_blames_no_mail(script: dict[str, str], extensions: list[str], result: str) -> None:
    with chaos(script, extensions=extensions) as server:
        outcomes = send(f"smtp://me:secret@127.0.0.1:{server.port}", make_mails(3))
        assert {(outcome.outcome, outcome.stage, outcome.suppress) for outcome in outcomes} == {
            (result, "greeted", False)
        }
        assert len(outcomes) == 3
        assert not any("secret" in outcome.reply for outcome in outcomes)


@pytest.mark.parametrize("implicit", [True, False], ids=["smtps", "starttls"])
def test_it_speaks_tls_with_a_server_it_can_verify(authority: Authority, implicit: bool) -> None:
    with chaos(tls=authority.server(), implicit_tls=implicit) as server:
        scheme = "smtps" if implicit else "smtp"
        options = f"ca={authority.file}&tls={'implicit' if implicit else 'starttls'}&connections=2"
        outcomes = send(f"{scheme}://127.0.0.1:{server.port}", make_mails(30), options)
        assert [(outcome.outcome, outcome.reply) for outcome in outcomes] == [("sent", "2.0.0 taken")] * 30
        big = DATA + (b"y" * 74 + b"\r\n") * 10_000
        assert [
            outcome.outcome
            for outcome in send(f"{scheme}://127.0.0.1:{server.port}", [a_mail(data=big)], options)
        ] == ["sent"]
        assert server.accepted[-1].data == big


# The server's `wrap_socket` leaves its half-made socket open when the client hangs up at that moment.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("implicit", [True, False], ids=["smtps", "starttls"])
@pytest.mark.parametrize("fault", ["self-signed", "wrong host", "expired"])
def test_a_certificate_that_proves_nothing_pauses_the_lane(
    authority: Authority, tmp_path: Path, fault: str, implicit: bool
) -> None:
    tls = {
        "self-signed": lambda: Authority(tmp_path).server(),
        "wrong host": lambda: authority.server("mail.example.test"),
        "expired": lambda: authority.server(expired=True),
    }[fault]()
    with chaos(tls=tls, implicit_tls=implicit) as server:
        options = f"ca={authority.file}&tls={'implicit' if implicit else 'starttls'}"
        outcomes = send(f"smtp://127.0.0.1:{server.port}", make_mails(2), options)
        assert {(outcome.outcome, outcome.suppress) for outcome in outcomes} == {("lane_paused", False)}
        assert all("TLS" in outcome.reply for outcome in outcomes)
        assert server.accepted == []


def test_without_starttls_nothing_goes_in_clear_text(server: ChaosSmtp) -> None:
    outcomes = send(server.url, make_mails(2), "tls=starttls")
    assert {outcome.outcome for outcome in outcomes} == {"lane_paused"}
    assert "tls=none" in outcomes[0].reply
    assert not any(command.startswith("MAIL") for command in server.commands)


def test_bytes_received_before_tls_do_not_count_as_received_under_it(authority: Authority) -> None:
    # The injected reply would else answer the EHLO said under TLS.
    injected = "220 go\r\n250 INJECTED"
    with chaos({"starttls": injected}, tls=authority.server()) as server:
        [outcome] = send(server.url, make_mails(1), f"tls=starttls&ca={authority.file}")
        assert outcome.outcome == "sent"
        assert not any("INJECTED" in command for command in server.commands)


# ---- the URL ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("smtp://relay.test", 25, "starttls"),
        ("smtp://me:pw@relay.test", 587, "starttls"),
        ("smtps://relay.test", 465, "implicit"),
        ("smtp://localhost", 25, "none"),
        ("smtp://127.0.0.1:2525", 2525, "none"),
        ("smtp://[::1]:2525", 2525, "none"),
        ("smtp://relay.test?tls=none", 25, "none"),
        ("smtp://127.0.0.1?tls=starttls", 25, "starttls"),
    ],
)
def test_tls_is_required_unless_the_url_or_loopback_says_otherwise(url: str, port: int, tls: str) -> None:
    options = read_smtp_url(url)
    assert (options.port, options.tls) == (port, tls)


def test_patience_is_what_the_rfc_asks_for() -> None:
    options = SmtpOptions("relay.test", 25)
    assert (options.greeting, options.command, options.data, options.block, options.dot) == (
        300,
        300,
        120,
        180,
        600,
    )


@pytest.mark.parametrize(
    "url",
    [
        "smtp://",
        "http://x",
        "smtp://x?tls=maybe",
        "smtp://x?dot=0",
        "smtp://x?dot=soon",
        "smtp://x?nonsense=1",
        "smtp://u:hush@x:99999",
    ],
)
def test_a_wrong_url_is_refused_and_its_password_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_smtp_url(url)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(read_smtp_url("smtp://u:hush@x"))
