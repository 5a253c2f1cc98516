"""Decode the body of an ingestion request: decompress within bounds, repair known client errors, split into items.

Bytes in, a `Body` of undecoded items out; `app.ingest` reads these one by one. Pure, no I/O.
"""

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from nurture.domain.errors import InputError
from nurture.domain.instant import Instant
from nurture.domain.values import read_clock

#: Largest compressed body. The Segment clients stop at 475 KB before compression.
COMPRESSED_BYTES_MAX: Final = 500 * 1024
#: Largest body after decompression, or when sent uncompressed.
BODY_BYTES_MAX: Final = 5 * 1024 * 1024
ITEMS_MAX: Final = 2_500


class NotJson(InputError):
    """The body is not JSON; send a Segment call or batch."""


class NotStrict(InputError):
    """The body is not strict JSON; `repair` may read it."""


class TooLarge(InputError):
    """The body exceeds a bound; send smaller batches."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body decoded far enough to authenticate the request; its items are still undecoded."""

    items: tuple[bytes | msgspec.Raw, ...]
    # Bytes after decompression.
    size: int
    sent_at: Instant | None = None
    # The write key inside the body; None when there is none.
    write_key: str | None = None


class _Envelope(msgspec.Struct):
    batch: msgspec.Raw = msgspec.Raw()
    sentAt: Any = None  # noqa: N815 - the wire's own name
    writeKey: Any = None  # noqa: N815 - the wire's own name


_read_envelope = msgspec.json.Decoder(_Envelope).decode
_read_batch = msgspec.json.Decoder(list[msgspec.Raw]).decode


def inflate(body: bytes, *, encoding: str = "", at_most: int = BODY_BYTES_MAX) -> bytes:
    """Return the decompressed body. Gzip is recognised by its first bytes, whatever the headers say.

    At most `at_most` + 1 bytes are decompressed, so a zip bomb costs no memory. Raises TooLarge, or NotJson for a
    damaged stream.
    """
    zipped = body[:2] == b"\x1f\x8b" or encoding.lower() in ("gzip", "deflate")
    if len(body) > (COMPRESSED_BYTES_MAX if zipped else BODY_BYTES_MAX):
        raise TooLarge(_too_large(zipped=zipped))
    if not zipped:
        return body
    try:
        return _unzip(body, at_most)
    except zlib.error as error:
        if body[:1] in (b"{", b"["):  # a proxy decompressed the body and left the header
            return body
        raise NotJson(f"the compressed body is damaged ({error}); send it again") from error


def _too_large(*, zipped: bool) -> str:
    if zipped:
        return f"more than {COMPRESSED_BYTES_MAX // 1024} KB compressed; send smaller batches"
    return f"more than {BODY_BYTES_MAX // 1024 // 1024} MB; send smaller batches"


def _unzip(body: bytes, at_most: int) -> bytes:
    parts: list[bytes] = []
    room = at_most + 1
    while body:
        # 47 accepts gzip and zlib, told apart by their header. A gzip file may have several members.
        stream = zlib.decompressobj(wbits=47)
        parts.append(stream.decompress(body, room))
        room -= len(parts[-1])
        if room <= 0:
            raise TooLarge(_too_large(zipped=False))
        if not stream.eof:
            raise zlib.error("the end of the stream is missing")
        body = stream.unused_data if stream.unused_data[:2] == b"\x1f\x8b" else b""
    return b"".join(parts)


def split_body(body: bytes) -> Body:
    """Split a decompressed body into its items: a batch, a list of calls or a single call.

    Raises NotJson, or TooLarge for more than `ITEMS_MAX` items.
    """
    try:
        return split_strict_body(body)
    except NotStrict:
        return _split(repair(_stripped(body)))


def split_strict_body(body: bytes) -> Body:
    """Split a body that is strict JSON, at a hundredth of the cost of `repair`. Raises NotStrict for any other."""
    try:
        return _split(_stripped(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotStrict(str(error)) from error


def _stripped(body: bytes) -> bytes:
    return body.removeprefix(b"\xef\xbb\xbf").strip()


def _split(body: bytes) -> Body:
    if body[:1] == b"[":
        return Body(items=_bounded(_read_batch(body)), size=len(body))
    if body[:1] != b"{":
        msgspec.json.decode(body)  # valid JSON but no object: `ingest` rejects it as one item
        return Body(items=(body,), size=len(body))
    envelope = _read_envelope(body)
    key = envelope.writeKey if isinstance(envelope.writeKey, str) else None
    sent_at = read_clock(envelope.sentAt)
    batched = bytes(memoryview(envelope.batch)[:1]) == b"["
    items = _bounded(_read_batch(envelope.batch)) if batched else (body,)
    return Body(items=items, size=len(body), sent_at=sent_at, write_key=key)


def _bounded(items: list[msgspec.Raw]) -> tuple[bytes | msgspec.Raw, ...]:
    if len(items) > ITEMS_MAX:
        raise TooLarge(f"{len(items)} items; at most {ITEMS_MAX} in one request")
    return tuple(items)


#: Texts and whatever else stands before a run of brackets, and the run. A string without its closing quote matches
#: too, which keeps the scan linear for any input.
_TOKEN = re.compile(
    r"""(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))*+(?:([\[{]++)|([\]}]++)|\Z)""", re.DOTALL
)
#: Far deeper than the inbox accepts, far less than what overflows a parser's stack.
_PRUNE_DEPTH: Final = 64


def repair(body: bytes) -> bytes:
    """Return strict JSON for a body that is nearly JSON: NaN, Infinity, broken UTF-8, lone surrogates, deep nesting.

    Python's own encoder writes NaN, so real clients send it. Raises NotJson for anything else.
    """
    text = body.decode("utf-8", "replace")
    try:
        try:
            value = _read_leniently(text)
        except RecursionError:
            value = _read_leniently(_prune(text))
    except ValueError as error:
        raise NotJson(f"the body is not JSON: {error}") from error
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _read_leniently(text: str) -> Any:
    return json.loads(
        text, strict=False, parse_constant=lambda _: None, parse_float=_finite_or_none, parse_int=_int_or_none
    )


def _finite_or_none(text: str) -> float | None:
    number = float(text)
    return number if abs(number) < float("inf") else None


def _int_or_none(text: str) -> int | None:
    return int(text) if len(text) < 100 else None


def _prune(text: str) -> str:
    """Replace everything deeper than `_PRUNE_DEPTH` with null. The inbox refuses such an item for its depth anyway."""
    kept: list[str] = []
    depth = start = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastindex
        if kind == 1:
            first, last = token.span(1)
            if depth <= _PRUNE_DEPTH < depth + last - first:
                kept.append(text[start : first + _PRUNE_DEPTH - depth] + "null")
            depth += last - first
        elif kind:
            first, last = token.span(2)
            if depth - last + first <= _PRUNE_DEPTH < depth:
                start = first + depth - _PRUNE_DEPTH
            depth -= last - first
    if depth <= _PRUNE_DEPTH:
        kept.append(text[start:])
    return "".join(kept)
