"""The links of a mail: public pages under BASE_URL, each with a signed token that grants its holder one action.

| name        | page          | payload            | what the page does                                    |
|-------------|---------------|--------------------|-------------------------------------------------------|
| unsubscribe | `/u/TOKEN`    | c, m, t            | GET shows, POST withdraws the topic (RFC 8058)        |
| preferences | `/p/TOKEN`    | c, m               | topics, fewer mails, a pause, language                |
| survey      | `/s/TOKEN`    | c, m               | records an answer; `?answer=N` may follow the token   |
| confirm     | `/confirm/TOKEN` | c, m, t or r    | grants the topic, or carries out the request          |
| object      | `/object/TOKEN`  | c, m, r         | objects to the change of address that the request asks |
| click       | `/c/TOKEN`    | m                  | redirects to the mail's target; records the click     |
| open        | `/o/TOKEN`    | m                  | returns a pixel; records the open                     |
| referral    | `/r/CODE`     | c                  | redirects to the brand's page with the person's code  |

c: contact id, m: message id, t: topic, r: request. The token's purpose is the link's name. No link carries a
URL: the target of a click is read from the message, so the click page is no open redirect.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from nurture.domain.signing import SigningKeys, sign_token

#: Link name -> path of its page.
PAGES: Final[Mapping[str, str]] = {
    "unsubscribe": "/u/",
    "preferences": "/p/",
    "survey": "/s/",
    "confirm": "/confirm/",
    "object": "/object/",
    "click": "/c/",
    "open": "/o/",
    "referral": "/r/",
}
_WITHOUT_CONTACT: Final = frozenset({"click", "open"})


def links_for(
    keys: SigningKeys,
    base_url: str,
    *,
    contact_id: int,
    message_id: int,
    topic: str | None,
    asked: str | None = None,
    request: int | None = None,
    objection: int | None = None,
    names: Collection[str] | None = None,
) -> Mapping[str, str]:
    """Return link name -> URL, a mapping that signs each link when it is first read: most mails show two or three.

    topic: the mail's own, which unsubscribing withdraws. asked: the topic that the confirm link grants. request: number
    of the request (`domain.consent.requests`) that the confirm link carries out instead. Without either there is no
    confirm link. objection: number of the request that the object link objects to. names: only these links; None: all.
    """
    topics = {"unsubscribe": topic, "confirm": asked}
    requests = {"confirm": request, "object": objection}
    payloads: dict[str, dict[str, Any]] = {}
    for name in PAGES:
        number = requests.get(name)
        missing = (name in topics or name in requests) and topics.get(name) is None and number is None
        if missing or (names is not None and name not in names):
            continue
        # People pass a referral link on, so it is the same in every mail and names no message.
        payload: dict[str, Any] = {"m": message_id} if name != "referral" else {}
        if name not in _WITHOUT_CONTACT:
            payload["c"] = contact_id
        if number is not None:
            payload["r"] = number
        elif name in topics:
            payload["t"] = topics[name]
        payloads[name] = payload
    return _Links(keys, base_url.rstrip("/"), payloads)


class _Links(Mapping[str, str]):
    """Links that are signed when they are first read; `links_for` returns it."""

    __slots__ = ("_keys", "_payloads", "_root", "_signed")

    def __init__(self, keys: SigningKeys, root: str, payloads: Mapping[str, Mapping[str, Any]]) -> None:
        self._keys, self._root, self._payloads = keys, root, payloads
        self._signed: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        url = self._signed.get(name)
        if url is None:
            token = sign_token(self._keys, name, self._payloads[name])
            url = self._signed[name] = f"{self._root}{PAGES[name]}{token}"
        return url

    def __contains__(self, name: object) -> bool:
        return name in self._payloads

    def __iter__(self) -> Iterator[str]:
        return iter(self._payloads)

    def __len__(self) -> int:
        return len(self._payloads)


class LinksWithImages(Mapping[str, str]):
    """Signed links together with the links of images, which need no signature."""

    def __init__(self, links: Mapping[str, str], images: Mapping[str, str]) -> None:
        self._links, self._images = links, images

    def __getitem__(self, name: str) -> str:
        return self._images[name] if name in self._images else self._links[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._links
        yield from self._images

    def __len__(self) -> int:
        return len(self._links) + len(self._images)
