"""The bytes of a mail: no value adds a header, and a mail program reads the text back."""

import html
import re
from email import message_from_bytes, policy
from email.headerregistry import Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.rendering.clean_text import HEADER_LENGTH_MAX
from nurture.rendering.errors import MissingValue, TemplateFault
from nurture.rendering.headers import header_id
from nurture.rendering.mime import LINE_MAX, _is_sendable
from nurture.rendering.render import render, render_parts
from tests.rendering.mails import MEASURE, content, read, some_context, some_templates, templates_of
from tests.rig.examples import examples

TEMPLATES = some_templates()
HEADERS = [
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
    "Feedback-ID",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
]
AWKWARD = [
    "",
    "Anna",
    "=?utf-8?q?a=0D=0ABcc:_evil@x.test?=",
    "=?utf-8?b?DQpCY2M6IGV2aWxAeC50ZXN0?=",
    "a\r\nBcc: evil@x.test",
    "a\nBcc: evil@x.test\n\nbody",
    "a\r\n\r\nbody",
    "a\x00b",
    "\ud800 lone",
    "\u202egnp.exe",
    "🎉" * 300,
    "x" * 10_000,
    "王芳" * 500,
    "a\u2028Bcc: x",
    "a\x85Bcc: x",
    "a\x0bBcc: x",
    '"quoted" \\ back',
    "From me",
    ".",
    "--=_i",
    "\t tab \t",
]


def check(data: bytes, *, headers: list[str] = HEADERS) -> None:
    """Check what must hold of every mail."""
    assert b"\r\n" in data
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", data)
    assert max(map(len, data.split(b"\r\n"))) <= 998
    assert b"\x00" not in data
    assert data.isascii()
    for reader in (policy.default, policy.compat32, policy.SMTP):
        mail = message_from_bytes(data, policy=reader)
        assert mail.keys() == headers
        assert mail.defects == []
        assert not any(part.defects for part in mail.walk())
        assert [part.get_content_type() for part in mail.walk()] == [
            "multipart/alternative",
            "text/plain",
            "text/html",
        ]
        assert mail.epilogue in (None, "")


def a_mail(name: str) -> tuple[bytes, Any]:
    context = some_context(
        TEMPLATES, {"contact": {"first_name": name}, "entity": {"lines": [{"name": name, "price": 1}]}}
    )
    return render(TEMPLATES, context), render_parts(TEMPLATES, context)


def test_a_mail_is_read_back_as_it_was_written() -> None:
    context = some_context(TEMPLATES)
    data, parts = render(TEMPLATES, context), render_parts(TEMPLATES, context)
    check(data)
    mail = read(data)
    assert mail["From"].addresses == (Address("Mira", "mira", "shop.test"),)
    assert str(mail["To"]) == "anna@x.test"
    assert str(mail["Reply-To"]) == "help@shop.test"
    assert mail["Subject"] == "Thanks, Anna"
    assert mail["Date"].datetime.isoformat() == "2026-07-06T12:00:00+00:00"
    assert mail["Message-ID"] == "<m2.test@shop.test>"
    assert mail["List-Unsubscribe"] == f"<{context['links']['unsubscribe']}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Id"] == "<offers.shop.shop.test>"
    assert mail["Feedback-ID"] == "customer.any.thanks:mail:sales:shop"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert content(mail, "text/plain") == parts.text
    assert html.unescape(content(mail, "text/html")) == html.unescape(parts.html) + "\n"


def test_unsubscribe_headers_stand_on_one_line_each() -> None:
    data = render(TEMPLATES, some_context(TEMPLATES))
    assert re.search(rb"\r\nList-Unsubscribe: <https://mail\.shop\.test/u/[A-Za-z0-9_-]+>\r\n(?! )", data)
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in data


def test_mail_without_consent_has_no_list_headers() -> None:
    data = render(TEMPLATES, some_context(TEMPLATES, purpose="transactional", topic=None))
    check(data, headers=[name for name in HEADERS if not name.startswith("List-")])


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_add_no_header_and_lose_no_text(name: str) -> None:
    data, parts = a_mail(name)
    check(data)
    mail = read(data)
    assert mail["Subject"] == parts.subject
    assert "\n" not in parts.subject
    assert len(parts.subject) <= HEADER_LENGTH_MAX
    assert content(mail, "text/plain") == parts.text
    assert "evil@x.test" not in str(mail["To"])


@settings(max_examples=examples(150), deadline=None)
@given(st.text(max_size=80) | st.text(alphabet="\r\n=?bquitf-8 :Bcce@.", max_size=60))
def test_no_name_can_do_anything_but_be_shown(name: str) -> None:
    data, parts = a_mail(name)
    check(data)
    mail = read(data)
    assert mail["Subject"] == parts.subject
    assert content(mail, "text/plain") == parts.text


@settings(max_examples=examples(100), deadline=None)
@given(st.text(max_size=60))
def test_no_sender_name_can_do_anything_but_be_shown(name: str) -> None:
    context = some_context(TEMPLATES)
    context["sender"]["name"] = name
    data = render(TEMPLATES, context)
    check(data)
    [address] = read(data)["From"].addresses
    assert address.addr_spec == "mira@shop.test"


@pytest.mark.parametrize(
    "name",
    ["Mira", "Mira from Lark & Kettle", 'A "B" \\ C', "Ménage, GmbH", "王芳", "=?utf-8?q?x?=", "x" * 100],
)
def test_a_sender_name_is_shown_as_it_is(name: str) -> None:
    context = some_context(TEMPLATES)
    context["sender"]["name"] = name
    assert read(render(TEMPLATES, context))["From"].addresses[0].display_name == name


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@x.test, b@x.test",
        "a@x.test\r\nBcc: b@x.test",
        "Anna <a@x.test>",
        "a b@x.test",
        "a@x.test>",
        "@x.test",
        "a@",
        "a@b@x.test",
        "a" * 300 + "@x.test",
        "a@" + "x" * 300,
        "a\u2028b@x.test",
        "a;b@x.test",
        "=?utf-8?q?a?= <a@x.test>",
    ],
)
def test_a_recipient_is_exactly_one_address(address: str) -> None:
    with pytest.raises(MissingValue, match="one mail address"):
        render(TEMPLATES, some_context(TEMPLATES, address=address))


@pytest.mark.parametrize(
    "address",
    [
        "a@x.test",
        "a+tag@x.test",
        "o'hara@x.test",
        "a=b@x.test",
        '"john smith"@x.test',
        "a@xn--bcher-kva.test",
    ],
)
def test_valid_addresses_are_accepted(address: str) -> None:
    data = render(TEMPLATES, some_context(TEMPLATES, address=address))
    assert f"\r\nTo: {address}\r\n".encode() in data


def test_an_address_beyond_ascii_stays_as_it_is() -> None:
    # Never as an encoded word inside the address; the transport checks that the server supports it (SMTPUTF8).
    data = render(TEMPLATES, some_context(TEMPLATES, address="jürgen@x.test"))
    assert "\r\nTo: jürgen@x.test\r\n".encode() in data


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("header_id", "<a@b>\r\nBcc: x"),
        ("header_id", "x"),
        ("unsubscribe", "https://x.test/\r\n x"),
        ("unsubscribe", "ftp://x"),
        ("sender", "a@b\r\nBcc: x"),
    ],
)
def test_a_damaged_document_makes_no_mail(field: str, value: str) -> None:
    context = some_context(TEMPLATES)
    if field == "header_id":
        context["header_id"] = value
    elif field == "sender":
        context["sender"]["address"] = value
    else:
        context["links"]["unsubscribe"] = value
    with pytest.raises(TemplateFault):
        render(TEMPLATES, context)


def test_a_message_keeps_its_id() -> None:
    made = header_id(7, "Ab-3/..\r\n", sender="mira@shop.test")
    assert made == header_id(7, "Ab-3/..\r\n", sender="mira@shop.test") == "<m7.Ab-3..@shop.test>"


# ---- bodies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain ascii", "7bit"),
        ("a few ümläuts in a sentence that is otherwise ascii", "quoted-printable"),
        ("中文" * 40, "base64"),
        ("From here", "quoted-printable"),
        ("x" * 5000, "quoted-printable"),
        (".", "7bit"),
    ],
)
def test_a_body_takes_the_shortest_safe_encoding(text: str, encoding: str) -> None:
    templates = templates_of(f"<mj-text>{text}</mj-text>", text)
    data = render(templates, some_context(templates))
    check(data)
    mail = read(data)
    part = next(part for part in mail.walk() if part.get_content_type() == "text/plain")
    assert part["Content-Transfer-Encoding"] == encoding
    assert content(mail, "text/plain") == text + "\n"
    assert text in html.unescape(content(mail, "text/html"))


def test_html_beyond_ascii_travels_as_references_that_readers_resolve() -> None:
    templates = templates_of("<mj-text>Zwölf Boxkämpfer, 12 €</mj-text>")
    data = render(templates, some_context(templates))
    shown = content(read(data), "text/html")
    assert "Zw&#246;lf" in shown
    assert "Zwölf Boxkämpfer, 12 €" in html.unescape(shown)


def test_html_whose_style_sheet_is_beyond_ascii_is_encoded_whole() -> None:
    # A character reference is not read inside <style>.
    base = some_templates().files["_layout/base.mjml"].replace("a {", "a { font-family: '微软雅黑';")
    templates = some_templates({"_layout/base.mjml": base})
    data = render(templates, some_context(templates))
    check(data)
    assert "'微软雅黑'" in content(read(data), "text/html")


def test_a_five_hundred_line_mail_keeps_every_line() -> None:
    lines = [{"name": f"Thing {number}", "price": number} for number in range(500)]
    data = render(TEMPLATES, some_context(TEMPLATES, {"contact": {}, "entity": {"lines": lines}}))
    check(data)
    assert content(read(data), "text/plain").count("Thing ") == 500
    assert MEASURE.replace("/", ".") in str(read(data)["Feedback-ID"])


@given(
    lengths=st.lists(
        st.sampled_from([0, 1, 5, 495, LINE_MAX - 1, LINE_MAX, LINE_MAX + 1, LINE_MAX + 2]), max_size=6
    ),
    start=st.sampled_from(["", "From ", "Fro"]),
    at=st.integers(0, 5),
)
def test_lines_that_are_too_long_or_look_like_a_separator_are_found(
    lengths: list[int], start: str, at: int
) -> None:
    lines = ["x" * length for length in lengths]
    lines[at:at] = [start]
    data = "".join(f"{line}\r\n" for line in lines).encode()
    expected = max(map(len, lines)) <= LINE_MAX and not any(line.startswith("From ") for line in lines)
    assert _is_sendable(data) == expected
