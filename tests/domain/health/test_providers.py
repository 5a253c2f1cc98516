"""Mails are counted by large provider; a domain that may be one person's is never named."""

import pytest

from nurture.domain.health.providers import OTHER_DOMAINS, name_provider


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("ann@gmail.com", "gmail.com"),
        ("ann@GoogleMail.com", "gmail.com"),
        ("ann@hotmail.co.uk", "outlook.com"),
        ("ann@live.com", "outlook.com"),
        ("ann@yahoo.com.br", "yahoo.com"),
        ("ann@yahoo.de", "yahoo.com"),
        ("ann@gmx.net", "gmx.net"),
        ("ann@foxmail.com", "qq.com"),
        ("ann@126.com", "163.com"),
        ("ann@yandex.ru", "yandex.ru"),
        ("ann@ann-smith.example", OTHER_DOMAINS),
        ("ann@live.ann-smith.de", OTHER_DOMAINS),
        ("ann@yahoo.ann.co.uk", OTHER_DOMAINS),
        ("ann@mail.gmail.com", OTHER_DOMAINS),
        ("ann@outlook.shop", OTHER_DOMAINS),
        ("nobody", OTHER_DOMAINS),
        ("", OTHER_DOMAINS),
    ],
)
def test_an_address_belongs_to_a_provider_or_to_the_rest(address: str, provider: str) -> None:
    assert name_provider(address) == provider
