"""Settings, and the only place that reads the environment.

A flag beats the environment, which beats `.env`, which beats the file `nurture.toml` (or what NURTURE_CONFIG
names), which beats the secrets that an embedded run made for itself, which beat the defaults. Every fault is
found at once, and each says what to change. `load_settings` reads; `settings_completion` adds what running needs.
"""

import difflib
import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import sqlalchemy as sa
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
)

from nurture.domain.errors import SettingsError
from nurture.domain.health.warm_up import WarmUpPlan, parse_plan
from nurture.domain.instant import Duration, parse_duration
from nurture.runtime import settings_parsing as text
from nurture.runtime.settings_display import show_value

PREFIX = "NURTURE_"
#: Names with the prefix that are no settings: where the file is, and what the tests read.
_NOT_SETTINGS = ("NURTURE_CONFIG", "NURTURE_TEST_")


Keys = Annotated[tuple[SecretStr, ...], BeforeValidator(text.words)]
Words = Annotated[tuple[str, ...], BeforeValidator(text.words)]
Secret = Annotated[SecretStr, AfterValidator(text.long_enough)]


class Settings(BaseModel):
    """All settings with their types, defaults and meanings; immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    database_url: Annotated[str, AfterValidator(text.database)] = Field(
        default="sqlite:///nurture.db",
        repr=False,
        description="where everything is kept: SQLite file or PostgreSQL",
    )
    broker_url: str = Field(
        default="memory://",
        repr=False,
        description="Celery's broker: redis://host:6379/0; memory:// inside one process",
    )
    mail_url: str = Field(
        default="maildir:mailbox",
        repr=False,
        description="where mail goes: maildir:PATH, smtp://, smtps://; several lanes",
    )
    journal: str = Field(
        default="",
        description="folder of the delivery journal, on a disk that outlives the process; default: "
        "<database>.journal beside a SQLite file, else ./journal",
    )
    journal_days: int = Field(
        default=7,
        ge=1,
        description="days that delivery journals are kept: as old as a backup you would restore may be",
    )
    playbook: Path = Field(default=Path("email_templates"), description="folder of the programme")
    base_url: Annotated[str, AfterValidator(text.http_url)] = Field(
        default="", description="how people reach the public pages; default: http://HTTP_HOST:HTTP_PORT"
    )
    secret_key: Annotated[tuple[Secret, ...], BeforeValidator(text.words)] = Field(
        default=(), description="signs the links in mails; several, newest first: the first signs, all verify"
    )
    suppression_key: Secret | None = Field(
        default=None, description="hashes suppressed addresses; made once per database, never changed"
    )
    only_to: Words = Field(
        default=(), description="addresses or domains that may be mailed at all; empty: everybody"
    )
    tracking: bool = Field(
        default=True, description="false: no mail counts opens or clicks, whatever its measure says"
    )
    template_cache: Literal["on", "off"] = Field(
        default="on",
        description="off: every mail runs its template (Jinja, MJML, HTML) instead of filling in a recorded run; "
        "the mails are the same",
    )
    write_keys: Keys = Field(default=(), description="secret keys of servers: what they say is proof")
    browser_keys: Keys = Field(
        default=(), description="public keys of pages and apps: what they say is a hint"
    )
    admin_password: SecretStr | None = Field(default=None, description="opens the console and operators' API")
    webhook_secrets: Annotated[dict[str, tuple[SecretStr, ...]], BeforeValidator(text.webhook_secrets)] = (
        Field(
            default={},
            description="name=key of ses, sendgrid, mailgun, postmark, resend, shopify, woocommerce, stripe: verifies "
            "their webhooks; repeat a pair for an old and a new key; a key may hold any character",
        )
    )
    shop_user_ids: Annotated[Words, AfterValidator(text.shops)] = Field(
        default=(),
        description="of shopify, woocommerce, stripe: those whose customer id is the userId of your site "
        "(of stripe: client_reference_id)",
    )
    shop_topics: Annotated[dict[str, str], BeforeValidator(text.pairs), AfterValidator(text.shop_topics)] = (
        Field(
            default={},
            description="shop=topic: the topic that a shop's marketing consent is about; default: the first of "
            "the playbook",
        )
    )
    shop_single_opt_in: Annotated[Words, AfterValidator(text.shops)] = Field(
        default=(),
        description="shops whose single opt-in also grants a topic with double opt-in; else it is pending",
    )
    shop_tests: bool = Field(
        default=False, description="true: test orders of shops count; for a trial installation only"
    )
    event_hooks: Annotated[dict[str, tuple[str, ...]], BeforeValidator(text.event_hooks)] = Field(
        default={},
        repr=False,
        description="event=address: such events are posted there, signed (Standard Webhooks); several by commas",
    )
    hook_secrets: Keys = Field(
        default=(), description="sign the posts of EVENT_HOOKS, whsec_...; several: each signs, newest first"
    )
    hook_hosts: Words = Field(
        default=(), description="hosts of EVENT_HOOKS that may be private or use http; all others may not"
    )
    bounce_address: Annotated[str, AfterValidator(text.bounce_address)] = Field(
        default="",
        description="address that bounces come back to, a signed tag added; empty: to the sender's address",
    )
    replies_to: Annotated[str, AfterValidator(text.address)] = Field(
        default="", description="address of the human who reads what people answer"
    )
    escalate_to: Annotated[str, AfterValidator(text.address)] = Field(
        default="", description="address told when an answer is overdue; default: REPLIES_TO"
    )
    brief_to: Words = Field(
        default=(),
        description="owners of the playbook who get the Monday brief, each NAME or NAME:LANGUAGE (mira:zh-CN);"
        " `nobody`: none; default: ESCALATE_TO",
    )
    reply_within: Annotated[str, AfterValidator(text.duration)] = Field(
        default="1d",
        description="how long an answer may take, in the business hours of the owner of cases",
    )
    retention: Annotated[dict[str, int], AfterValidator(text.retained), BeforeValidator(text.pairs)] = Field(
        default={},
        description="days by kind of data (docs/privacy.md), over the defaults: events=400, contents=180",
    )
    approve_sends_over: int | None = Field(
        default=None,
        ge=0,
        description="a send to more people than this waits for a second operator; empty: none",
    )
    check_relay: int = Field(
        default=7,
        ge=0,
        description="seconds after which a mail server that no mail left through is asked whether it is there "
        "(greeting, EHLO, QUIT); 0: never",
    )
    warm_up: Annotated[dict[str, str], AfterValidator(text.warm_up), BeforeValidator(text.pairs)] = Field(
        default={},
        description="lane=DATE:FIRST[:GROWTH[:LAST]]: how a new sending address warms up, such as "
        "main=2026-12-01:200: 200 mails on that day, each day 1.5 times as many, over at 50000",
    )
    provider_limits: Annotated[
        dict[str, int], AfterValidator(text.provider_limits), BeforeValidator(text.pairs)
    ] = Field(
        default={},
        description="provider=mails of a lane that may go there on a day, such as gmail.com=2000; without "
        "transactional mail",
    )
    dns_server: Annotated[str, AfterValidator(text.dns_server)] = Field(
        default="",
        description="resolver that SPF, DKIM, DMARC and reverse names of the sender are looked up at once an hour: "
        "`system`, or an address; empty: nothing is looked up",
    )
    dkim_selectors: Words = Field(
        default=(), description="selectors that your relay signs with, whose DKIM keys are looked up"
    )
    http_host: str = Field(default="127.0.0.1", description="address that HTTP listens on")
    http_port: int = Field(default=8025, ge=0, le=65535, description="port that HTTP listens on")
    metrics_port: int = Field(
        default=0, ge=0, le=65535, description="port of a worker's own /metrics; 0: none"
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="auto: console on a terminal, else JSON lines"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level shown"
    )

    @property
    def warm_up_plans(self) -> dict[str, WarmUpPlan]:
        """Lane -> its plan."""
        return {lane: parse_plan(plan) for lane, plan in self.warm_up.items()}

    @property
    def embedded(self) -> bool:
        """Tell whether the database is a SQLite file of this machine."""
        return sa.make_url(self.database_url).get_backend_name() == "sqlite"

    @property
    def reply_time(self) -> Duration:
        """The time within which a reply must be answered."""
        return parse_duration(self.reply_within)

    @property
    def public_url(self) -> str:
        """The base URL of the public pages, without a slash at the end."""
        return self.base_url or f"http://{self.http_host}:{self.http_port}"

    @property
    def signing_secrets(self) -> tuple[bytes, ...]:
        """The link-signing secrets, newest first."""
        return tuple(secret.get_secret_value().encode() for secret in self.secret_key)

    @property
    def suppression_secret(self) -> bytes:
        """The key that suppressed addresses are hashed with; empty when there is none yet."""
        return self.suppression_key.get_secret_value().encode() if self.suppression_key else b""

    def secret_values(self) -> tuple[str, ...]:
        """Return every secret of the settings, for those who must never show one."""
        single = [self.suppression_key, self.admin_password]
        found = [
            *self.secret_key,
            *self.write_keys,
            *self.browser_keys,
            *self.hook_secrets,
            *(secret for secrets in self.webhook_secrets.values() for secret in secrets),
            *filter(None, single),
        ]
        texts = [secret.get_secret_value() for secret in found]
        urls = [sa.engine.url.make_url(self.database_url).password]
        urls += re.findall(r"://[^\s/@]*:([^\s/@]+)@", f"{self.mail_url} {self.broker_url}")
        # A write key may carry its source's name: `shop=KEY`.
        texts += [text.partition("=")[2] for text in texts]
        return tuple(text for text in [*texts, *(str(url) for url in urls if url)] if text)

    @property
    def suppression_fingerprint(self) -> str:
        """A hash of the suppression key that may be stored: it shows that a key is another one, and not which."""
        return hashlib.blake2b(self.suppression_secret, digest_size=16, person=b"nurture suppr").hexdigest()

    @property
    def secrets_file(self) -> Path | None:
        """The file of the secrets that an embedded run generates; None for a database without a file."""
        name = sa.make_url(self.database_url).database if self.embedded else None
        return Path(f"{name}.secrets") if name and name != ":memory:" else None

    @property
    def journal_folder(self) -> Path:
        """The folder of the delivery journals."""
        name = sa.make_url(self.database_url).database if self.embedded else None
        beside = f"{name}.journal" if name and name != ":memory:" else "journal"
        return Path(self.journal or beside)

    def sources(self) -> dict[str, str]:
        """Tell for each setting, by its environment name, where its value comes from."""
        return {_key(name): self._sources.get(_key(name), "default") for name in type(self).model_fields}

    def shown(self) -> dict[str, str]:
        """Return each setting, by its environment name, as it may be shown: no secret, no password in a URL."""
        return {_key(name): show_value(getattr(self, name)) for name in type(self).model_fields}

    def traced(self, sources: Mapping[str, str]) -> Self:
        """Return itself, knowing where its values come from, by environment name."""
        self._sources = dict(sources)
        return self


def _key(name: str) -> str:
    return PREFIX + name.upper()


def load_settings(
    *, folder: Path = Path(), environment: Mapping[str, str] | None = None, **flags: Any
) -> Settings:
    """Read all sources and return the settings.

    folder: where `.env` and `nurture.toml` are looked for. environment: default the process's own. flags: by
    field name; None means not given. Raises SettingsError that lists every fault.
    """
    given = os.environ if environment is None else environment
    faults: list[str] = []
    layers = [("flag", {name: value for name, value in flags.items() if value is not None})]
    layers.append(("environment", _prefixed(given, "environment", faults)))
    layers.append((".env", _prefixed(_dotenv(folder / ".env"), ".env", faults)))
    layers.append(_file(folder, given.get("NURTURE_CONFIG"), faults))
    settings = _merge(layers, faults)
    made = settings.secrets_file
    if made and made.exists():
        layers.append((str(made), _prefixed(_dotenv(made), str(made), faults)))
        settings = _merge(layers, faults)
    if faults:
        raise SettingsError("\n".join(dict.fromkeys(faults)))
    return settings


def armed_failpoints() -> str:
    """Return the failpoints that a test has armed; empty outside tests."""
    return os.environ.get("NURTURE_TEST_FAILPOINTS", "")


def _merge(layers: list[tuple[str, dict[str, Any]]], faults: list[str]) -> Settings:
    """Lay the sources over each other; a wrong value is a fault and leaves the default in its place."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in reversed(layers):
        values |= layer
        sources |= {_key(name): source for name in layer}
    try:
        return Settings(**values).traced(sources)
    except ValidationError as error:
        for fault in error.errors():
            name = str(fault["loc"][0])
            what = fault["msg"].removeprefix("Value error, ")
            faults.append(f"{_key(name)} ({sources[_key(name)]}): {what}")
            values.pop(name, None)
        return Settings(**values).traced(sources)


def _prefixed(given: Mapping[str, str | None], source: str, faults: list[str]) -> dict[str, Any]:
    """Return the settings with our prefix by field name; an empty text counts as not set."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = key.removeprefix(PREFIX).lower()
        if not key.startswith(PREFIX) or key.startswith(_NOT_SETTINGS) or not value:
            continue
        if name in Settings.model_fields:
            found[name] = value
        else:
            faults.append(_unknown(key, [_key(field) for field in Settings.model_fields], source))
    return found


def _unknown(key: str, known: list[str], source: str) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "remove it; `nurture config show` lists all"
    return f"{key} ({source}): there is no such setting; {hint}"


def _dotenv(path: Path) -> dict[str, str | None]:
    return dotenv_values(path, interpolate=False) if path.is_file() else {}


def _file(folder: Path, named: str | None, faults: list[str]) -> tuple[str, dict[str, Any]]:
    path = Path(named) if named else folder / "nurture.toml"
    if not path.is_file():
        if named:
            faults.append(f"NURTURE_CONFIG: there is no file {named}")
        return str(path), {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(f"{path}: not TOML: {error}")
        return str(path), {}
    known = list(Settings.model_fields)
    faults += [_unknown(name, known, str(path)) for name in document if name not in known]
    return str(path), {name: value for name, value in document.items() if name in known}
