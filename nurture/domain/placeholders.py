"""Words that programs and people write where a value is missing: they name nobody.

One such id, taken for a name, would make one person of thousands; one such first name would greet somebody as NULL.
"""

import re
from collections.abc import Sequence
from typing import Final

from nurture.domain.event import Identity

#: Written for any missing value.
_NOTHING: Final = frozenset(
    {
        "",
        "-",
        "--",
        "---",
        ".",
        "..",
        "?",
        "0",
        "-1",
        "null",
        "nil",
        "none",
        "undefined",
        "nan",
        "n/a",
        "n.a.",
    }
    | {
        "(null)",
        "<null>",
        "(none)",
        "(not set)",
        "not set",
        "not_set",
        "missing",
        "empty",
        "blank",
        "unknown",
    }
    | {
        "not available",
        "not_available",
        "not provided",
        "not_provided",
        "notprovided",
        "no value",
        "[object object]",
    }
)
_IDS: Final = _NOTHING | {
    *("na", "true", "false", "anonymous", "anon", "guest", "visitor", "user", "customer", "default", "test"),
    *("tester", "testing", "test_user", "testuser", "test-user", "example", "demo", "dummy", "xxx", "string"),
    *(
        "id",
        "_id",
        "uid",
        "uuid",
        "guid",
        "user_id",
        "userid",
        "user-id",
        "user id",
        "customer_id",
        "customerid",
    ),
    *("anonymous_id", "anonymousid", "anonymous-id", "distinct_id", "contact_id", "external_id", "member_id"),
    *("email", "e-mail", "email_address", "emailaddress", "username", "your_user_id", "your-user-id"),
    *("not_authenticated", "not authenticated", "not-authenticated", "notauthenticated", "unauthenticated"),
    *("logged_out", "logged-out", "logged out", "loggedout", "not_logged_in", "not logged in", "no_user"),
    *("unregistered", "not_registered", "not-registered", "not registered", "unidentified", "guest_user"),
    *(
        "guest-user",
        "guestuser",
        "guest_checkout",
        "guest-checkout",
        "gast",
        "访客",
        "游客",
        "匿名",
        "匿名用户",
    ),
    *(
        "no_id",
        "noid",
        "nouser",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ),
}
_NAMES: Final = _NOTHING | {
    *(
        "anonymous",
        "guest",
        "test",
        "tester",
        "testing",
        "test test",
        "test user",
        "testuser",
        "user",
        "customer",
    ),
    *("name", "first name", "firstname", "first_name", "last name", "lastname", "last_name", "full name"),
    *(
        "your name",
        "vorname",
        "nachname",
        "company",
        "firma",
        "asdf",
        "asdfgh",
        "qwerty",
        "xxx",
        "foo",
        "bar",
    ),
    *("dummy", "demo", "example", "string", "true", "false"),
    *(
        "kunde",
        "kundin",
        "client",
        "cliente",
        "用户",
        "客户",
        "顾客",
        "访客",
        "游客",
        "匿名",
        "匿名用户",
        "微信用户",
    ),
}
_LOCAL_PARTS: Final = _NOTHING | {
    *(
        "test",
        "tester",
        "testing",
        "test1",
        "test123",
        "noemail",
        "no-email",
        "no_email",
        "nomail",
        "no-mail",
    ),
    *(
        "email",
        "e-mail",
        "name",
        "user",
        "username",
        "example",
        "dummy",
        "asdf",
        "foo",
        "xxx",
        "na",
        "anonymous",
    ),
    *(
        "your-email",
        "youremail",
        "your.email",
        "firstname.lastname",
        "noreply",
        "no-reply",
        "nobody",
        "donotreply",
    ),
}
#: A field of a template that nobody filled in.
_UNFILLED: Final = re.compile(
    r"\{\{|\}\}|\{%|%\}|\$\{|#\{|<%|%>|\*\||\|\*|\[\[|\]\]|\[object "
    r"|^%{1,2}[\w.\- ]+%{1,2}$|^\{[\w.\- ]+\}$|^<[\w.\- ]+>$|^\[[\w.\- ]+\]$"
)
#: Traits that name a person or a company.
NAME_TRAITS: Final = frozenset(
    {
        "firstName",
        "first_name",
        "firstname",
        "lastName",
        "last_name",
        "lastname",
        "name",
        "fullName",
        "full_name",
    }
    | {"company", "companyName", "company_name", "nickname", "displayName", "givenName", "familyName"}
)


def is_placeholder_id(text: str) -> bool:
    """Tell whether a user or anonymous id stands for a missing one."""
    return _is_among(text, _IDS)


def is_placeholder_name(text: str) -> bool:
    """Tell whether a name stands for a missing one; a name without any letter is one too."""
    return _is_among(text, _NAMES) or not any(character.isalpha() for character in text)


def is_placeholder_address(address: str) -> bool:
    """Tell whether a canonical address stands for a missing one, as test@example.com."""
    return _is_among(address.partition("@")[0], _LOCAL_PARTS) or _UNFILLED.search(address) is not None


def without_placeholders(identities: Sequence[Identity]) -> tuple[Identity, ...]:
    """Return the identities without an address that stands for a missing one, where another identity remains."""
    kept = tuple(
        identity
        for identity in identities
        if identity.kind != "email" or not is_placeholder_address(identity.value)
    )
    return kept or tuple(identities)


def _is_among(text: str, words: frozenset[str]) -> bool:
    lowered = text.strip().strip("'\"").lower()
    return lowered in words or _UNFILLED.search(lowered) is not None
