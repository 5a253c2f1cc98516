"""The large mailbox providers, by the domains of their addresses.

Mails are counted by provider. Any other domain may be a single person's or a small company's, so its name would be
personal data in a table that no erasure reads; such domains are counted together.
"""

from collections.abc import Mapping
from typing import Final

#: The domain under which all others are added up.
OTHER_DOMAINS: Final = ""

#: Provider, named by its best-known domain -> its domains. A trailing dot stands for any country: `yahoo.` is also
#: yahoo.de.
_PROVIDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "gmail.com": ("gmail.com", "googlemail.com"),
    "outlook.com": ("outlook.", "hotmail.", "live.", "msn.com", "passport.com"),
    "yahoo.com": ("yahoo.", "ymail.com", "rocketmail.com", "myyahoo.com"),
    "aol.com": ("aol.", "aim.com"),
    "icloud.com": ("icloud.com", "me.com", "mac.com"),
    "qq.com": ("qq.com", "vip.qq.com", "foxmail.com"),
    "163.com": ("163.com", "126.com", "yeah.net", "vip.163.com", "188.com"),
    "sina.com": ("sina.com", "sina.cn", "vip.sina.com"),
    "sohu.com": ("sohu.com",),
    "139.com": ("139.com",),
    "aliyun.com": ("aliyun.com",),
    "gmx.net": ("gmx.",),
    "web.de": ("web.de",),
    "t-online.de": ("t-online.de", "magenta.de"),
    "freenet.de": ("freenet.de",),
    "orange.fr": ("orange.fr", "wanadoo.fr"),
    "free.fr": ("free.fr",),
    "laposte.net": ("laposte.net",),
    "sfr.fr": ("sfr.fr", "neuf.fr"),
    "libero.it": ("libero.it",),
    "wp.pl": ("wp.pl", "o2.pl"),
    "seznam.cz": ("seznam.cz", "email.cz"),
    "mail.ru": ("mail.ru", "bk.ru", "inbox.ru", "list.ru"),
    "yandex.ru": ("yandex.", "ya.ru"),
    "naver.com": ("naver.com",),
    "daum.net": ("daum.net", "hanmail.net"),
    "docomo.ne.jp": ("docomo.ne.jp",),
    "proton.me": ("proton.me", "protonmail.com", "pm.me"),
    "zoho.com": ("zoho.com", "zohomail.com"),
    "comcast.net": ("comcast.net", "xfinity.com"),
    "att.net": ("att.net", "sbcglobal.net", "bellsouth.net"),
    "verizon.net": ("verizon.net",),
    "btinternet.com": ("btinternet.com",),
    "rediffmail.com": ("rediffmail.com",),
    "uol.com.br": ("uol.com.br", "bol.com.br"),
}
_EXACT: Final = {
    name: provider for provider, names in _PROVIDERS.items() for name in names if name[-1] != "."
}
_ANY_COUNTRY: Final = {
    name[:-1]: provider for provider, names in _PROVIDERS.items() for name in names if name[-1] == "."
}


def name_provider(address: str) -> str:
    """Return the best-known domain of the provider of an address, or OTHER_DOMAINS."""
    domain = address.rpartition("@")[2].lower().rstrip(".")
    if domain in _EXACT:
        return _EXACT[domain]
    name, _, country = domain.partition(".")
    # yahoo.de, yahoo.co.uk, yahoo.com.br: nothing longer, and no other name in front.
    parts = country.split(".")
    is_country = parts == ["com"] or (
        len(parts[-1]) == 2 and (len(parts) == 1 or parts[:-1] in (["co"], ["com"]))
    )
    if is_country or country == "net":
        return _ANY_COUNTRY.get(name, OTHER_DOMAINS)
    return OTHER_DOMAINS
