"""Where a setting comes from, what is refused, and that secrets stay secret."""

import stat
from pathlib import Path

import pytest

from nurture.domain.errors import SettingsError
from nurture.runtime.settings import Settings, load_settings
from nurture.runtime.settings_completion import complete

LONG = "k" * 32
POSTGRESQL = {"NURTURE_DATABASE_URL": "postgresql://nurture:hush@db/nurture"}


def load(folder: Path, environment: dict[str, str] | None = None, **flags: object) -> Settings:
    return load_settings(folder=folder, environment=environment or {}, **flags)


def test_nearer_source_wins_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "nurture.toml").write_text('http_host = "127.0.0.2"\nhttp_port = 1\nlog_level = "error"\n')
    (tmp_path / ".env").write_text("NURTURE_HTTP_PORT=2\nNURTURE_LOG_LEVEL=warning\nOTHER=1\n")
    settings = load(
        tmp_path, {"NURTURE_LOG_LEVEL": "debug", "NURTURE_PLAYBOOK": ""}, base_url="https://x.example/"
    )
    sources = settings.sources()
    assert (settings.http_host, settings.http_port, settings.log_level) == ("127.0.0.2", 2, "debug")
    assert sources["NURTURE_HTTP_HOST"] == str(tmp_path / "nurture.toml")
    assert sources["NURTURE_HTTP_PORT"] == ".env"
    assert sources["NURTURE_LOG_LEVEL"] == "environment"
    assert sources["NURTURE_BASE_URL"] == "flag"
    assert sources["NURTURE_PLAYBOOK"] == "default"
    assert settings.public_url == "https://x.example"


def test_all_faults_are_told_at_once_each_with_what_to_change(tmp_path: Path) -> None:
    (tmp_path / "nurture.toml").write_text("colour = 1\n")
    wrong = {
        "NURTURE_DATABSE_URL": "sqlite:///x.db",
        "NURTURE_DATABASE_URL": "oracle://x",
        "NURTURE_HTTP_PORT": "http",
        "NURTURE_SECRET_KEY": f"{LONG},short",
        "NURTURE_WEBHOOK_SECRETS": "ses",
    }
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, wrong)
    faults = str(refused.value).splitlines()
    assert len(faults) == 6
    assert (
        "NURTURE_DATABSE_URL (environment): there is no such setting; did you mean NURTURE_DATABASE_URL?"
        in faults
    )
    assert any(
        fault.startswith("NURTURE_SECRET_KEY (environment): is shorter than 16 bytes") for fault in faults
    )
    assert "short," not in str(refused.value)


def test_lists_and_pairs_are_read_from_one_line(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        {
            "NURTURE_ONLY_TO": "me@x.example, y.example",
            "NURTURE_SECRET_KEY": f"{LONG} {LONG}2",
            "NURTURE_WEBHOOK_SECRETS": "ses=a=b, mailgun=c",
        },
    )
    assert settings.only_to == ("me@x.example", "y.example")
    assert settings.signing_secrets == (LONG.encode(), LONG.encode() + b"2")
    assert secrets_of(settings) == {"ses": ["a=b"], "mailgun": ["c"]}


def secrets_of(settings: Settings) -> dict[str, list[str]]:
    return {
        name: [secret.get_secret_value() for secret in secrets]
        for name, secrets in settings.webhook_secrets.items()
    }


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("resend=a|b", {"resend": ["a", "b"]}),
        ("resend=a, resend=b", {"resend": ["a", "b"]}),
        ('woocommerce=geheim & <br> "x"', {"woocommerce": ['geheim & <br> "x"']}),
        (
            "woocommerce=a|b, c=d;, woocommerce=#$%, stripe=whsec_x",
            {"woocommerce": ["a|b, c=d;", "#$%"], "stripe": ["whsec_x"]},
        ),
        (
            '{"woocommerce": ["x, stripe=y", "z"], "shopify": "s"}',
            {"woocommerce": ["x, stripe=y", "z"], "shopify": ["s"]},
        ),
        ("shopify=a\npostmark=u:p,", {"shopify": ["a"], "postmark": ["u:p"]}),
    ],
)
def test_a_webhook_secret_may_hold_any_character(
    tmp_path: Path, text: str, secrets: dict[str, list[str]]
) -> None:
    assert secrets_of(load(tmp_path, {"NURTURE_WEBHOOK_SECRETS": text})) == secrets


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("WEBHOOK_SECRETS", "shopfy=a", "no other name than ses"),
        ("WEBHOOK_SECRETS", "resend=a, shopfy=b", "resend: its secret holds a comma or space"),
        ("WEBHOOK_SECRETS", "{woo", "is not JSON"),
        ("WEBHOOK_SECRETS", '{"shopfy": "a"}', "no provider or shop 'shopfy'"),
        ("EVENT_HOOKS", "Order Completed=crm.example", "write Event Name=https://host/path"),
        ("EVENT_HOOKS", '{"Order Completed": "ftp://x"}', "is no address"),
        ("SHOP_USER_IDS", "shopify, shopfy", "no shop 'shopfy'"),
        ("SHOP_TOPICS", "shopfy=news", "no shop 'shopfy'"),
        ("SHOP_SINGLE_OPT_IN", "magento", "no shop 'magento'"),
    ],
)
def test_a_wrong_shop_setting_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(tmp_path, {f"NURTURE_{name}": text})


def test_event_hooks_lead_events_to_addresses(tmp_path: Path) -> None:
    text = "Order Completed=https://crm.example/in?a=1, Support Case Opened = https://b.example\nOrder Completed=https://c.example,"
    hooks = load(tmp_path, {"NURTURE_EVENT_HOOKS": text}).event_hooks
    assert hooks == {
        "Order Completed": ("https://crm.example/in?a=1", "https://c.example"),
        "Support Case Opened": ("https://b.example",),
    }
    with pytest.raises(SettingsError, match="NURTURE_HOOK_SECRETS is not set"):
        complete(load(tmp_path, POSTGRESQL | {"NURTURE_EVENT_HOOKS": text}))


def test_the_template_cache_is_on_or_off(tmp_path: Path) -> None:
    assert load(tmp_path).template_cache == "on"
    settings = load(tmp_path, {"NURTURE_TEMPLATE_CACHE": "off"})
    assert settings.shown()["NURTURE_TEMPLATE_CACHE"] == "off"
    with pytest.raises(SettingsError, match=r"NURTURE_TEMPLATE_CACHE \(environment\): .*'on' or 'off'"):
        load(tmp_path, {"NURTURE_TEMPLATE_CACHE": "no"})


def test_nothing_shown_holds_a_secret(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        POSTGRESQL
        | {
            "NURTURE_SECRET_KEY": "hush" * 8,
            "NURTURE_SUPPRESSION_KEY": "hush" * 8,
            "NURTURE_WRITE_KEYS": "hush",
            "NURTURE_ADMIN_PASSWORD": "hush",
            "NURTURE_MAIL_URL": "main=smtp://nurture:hush@h:587 bulk=smtp://b:hush@h:25",
            "NURTURE_BROKER_URL": "redis://:hush@h:6379/0",
            "NURTURE_WEBHOOK_SECRETS": "ses=hush",
        },
    )
    assert "hush" not in repr(settings)
    assert "hush" not in str(settings.shown())
    assert settings.shown()["NURTURE_DATABASE_URL"] == "postgresql://nurture:***@db/nurture"


def test_embedded_run_makes_its_secrets_once_for_its_owner_alone(tmp_path: Path) -> None:
    url = {"NURTURE_DATABASE_URL": f"sqlite:///{tmp_path}/n.db"}
    first = complete(load(tmp_path, url), create=True)
    kept = tmp_path / "n.db.secrets"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = complete(load(tmp_path, url))
    assert again.signing_secrets == first.signing_secrets
    assert again.suppression_fingerprint == first.suppression_fingerprint
    assert again.sources()["NURTURE_SECRET_KEY"] == str(kept)
    assert complete(again, create=True) == again
    assert len(kept.read_text().splitlines()) == 2


def test_postgresql_without_a_configured_secret_refuses(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"NURTURE_SECRET_KEY(.|\n)*NURTURE_SUPPRESSION_KEY"):
        complete(load(tmp_path, POSTGRESQL), create=True)


def test_open_console_on_a_public_address_refuses(tmp_path: Path) -> None:
    keys = {"NURTURE_SECRET_KEY": LONG, "NURTURE_SUPPRESSION_KEY": LONG}
    public = load(tmp_path, keys | {"NURTURE_HTTP_HOST": "0.0.0.0"})
    complete(public)
    with pytest.raises(SettingsError, match=r"NURTURE_ADMIN_PASSWORD(.|\n)*NURTURE_WRITE_KEYS"):
        complete(public, serves=True)
    complete(load(tmp_path, keys | {"NURTURE_HTTP_HOST": "localhost"}), serves=True)


def test_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no file"):
        load(tmp_path, {"NURTURE_CONFIG": str(tmp_path / "absent.toml")})
