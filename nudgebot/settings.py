"""What may be set from outside, what is it for, and what is it worth when nobody says?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "NUDGEBOT_"

_WEB_ADDRESS = r"https://[^\s/]+\S*|http://(localhost|127\.0\.0\.1)[:/]\S*"

FREE_RATE = 30
"""Messages a second that Telegram carries free of charge (its FAQ on bots)."""

LONGEST_MAIL_ADDRESS = 64
"""Characters: as long as the identifier of a delivery may be."""


@dataclass(frozen=True, slots=True)
class AlertAddress:
    """Somebody who is told beside Telegram.  `identifier` is what deliveries and logs may hold.

    A webhook's address often carries a key: it is named by its host and eight digits, too little to post to.
    """

    channel: Literal["email", "webhook"]
    identifier: str  # lead@example.org, or hooks.example.org#1a2b3c4d
    url: str

    @classmethod
    def of(cls, url: str) -> AlertAddress:
        if url.startswith("mailto:"):
            return cls("email", url[7:], url)
        return cls("webhook", f"{(urlsplit(url).hostname or '')[:55]}#{_digits(url)}", url)

    @property
    def key(self) -> str:
        """Eight digits that tell it from the others."""
        return _digits(self.url)


def _digits(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:8]


class BadSettings(Exception):
    """A setting is wrong: mend the variable the message names and start again."""


class SecretFiles(PydanticBaseSettingsSource):
    """`NUDGEBOT_X_FILE=/path` gives X its value from a file, as container platforms hand over secrets."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._variables = variables  # names in lower case

    def get_field_value(self, field: object, field_name: str) -> tuple[str | None, str, bool]:
        variable = f"{PREFIX}{field_name}_FILE".lower()
        path = self._variables.get(variable)
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8-sig").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(
                f"{variable.upper()} names a file that cannot be read ({type(error).__name__}); check the path."
            ) from error

    def __call__(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in SECRETS:
            value, key, _ = self.get_field_value(None, name)
            if value is not None:
                found[key] = value
        return found


class Settings(BaseSettings):
    """Every knob, its default and what it is for: `nudgebot settings` prints this table."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8-sig",  # Windows' Notepad puts a mark before the first name
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
    )

    bot_token: SecretStr | None = Field(None, description="The bot's token, from BotFather.")
    bot_api_url: str = Field(
        "https://api.telegram.org",
        description="Where the Bot API answers; calls go to {BOT_API_URL}/bot{token}/{method}. "
        "Name a local Bot API server, or the stand-in, here.",
    )
    database_url: str = Field(
        "sqlite:///nudgebot.db",
        description="`sqlite:///file.db` or `postgresql://user:password@host/name`; behind PgBouncer in transaction mode "
        "with `?pgbouncer=true` at its end.",
    )
    content: Path | None = Field(None, description="Folder of the content library; the packaged one when not set.")
    country: str | None = Field(
        None, description="Two letters (ISO 3166): offered first when a parent is asked for a country."
    )
    language: str = Field("en", description="Language of people whose own one the library does not speak.")
    unreviewed_content: Literal["refuse", "send"] = Field(
        "refuse", description="`send` lets tips that no professional has reviewed reach parents under `run`."
    )
    send_rate: float = Field(
        25, description="Messages a second over all lanes; above 30 only with PAID_BROADCAST.", gt=0, le=1000
    )
    paid_broadcast: bool = Field(
        False, description="`True` pays Telegram 0.1 Star for each message above 30 a second, out of the bot's balance."
    )
    webhook_url: str | None = Field(None, description="Public address of the webhook; polling when not set.")
    webhook_secret: SecretStr | None = Field(
        None, description="1-256 letters, digits, `_`, `-`: Telegram repeats it with every update to the webhook."
    )
    listen: str = Field(
        "127.0.0.1:8080", description="host:port of /healthz, /metrics and the webhook; `off` for none."
    )
    spool: Path | None = Field(
        None,
        description="File that keeps, sealed, what people send while the database is away; beside an SQLite file, or "
        "`nudgebot.spool` in the working folder, when not set.",
    )
    alert_to: SecretStr | None = Field(
        None,
        description="Second channel for alerts, comma between: `mailto:lead@example.org`, or the `https://` address of a "
        "webhook that takes JSON {text, case, severity}.",
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server for the second channel: `smtp://user:password@host:587` (STARTTLS) or `smtps://`; "
        "`?from=bot@example.org` names the sender where the user is no address.",
    )
    watchdog_url: SecretStr | None = Field(
        None,
        description="Address that the leader calls every three minutes while it is well; a watchdog there tells you when "
        "the calls end.",
    )
    encryption_key: SecretStr | None = Field(
        None,
        description="Key ring for names, birth dates and free text: 32 bytes in base64, newest first, comma between. "
        "Beside an SQLite file one is made on the first run (mode 0600).",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(env_settings, EnvSettingsSource)
        assert isinstance(dotenv_settings, EnvSettingsSource)
        files = SecretFiles(settings_cls, {**dotenv_settings.env_vars, **env_settings.env_vars})
        return init_settings, env_settings, files, dotenv_settings

    @field_validator("bot_api_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        if value.startswith("sqlite:///") and (set(":?#") & set(value[10:]) or not value[10:].strip("/")):
            raise ValueError("must name a file, for example sqlite:///nudgebot.db")
        return value

    @field_validator("country")
    @classmethod
    def _country(cls, value: str | None) -> str | None:
        if value is not None and not (len(value) == 2 and value.isascii() and value.isalpha()):
            raise ValueError("must be a country's two letters, for example GB")
        return value.upper() if value else None

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value != "off" and not (host and port.isascii() and port.isdigit() and int(port) < 65536):
            raise ValueError("must be host:port, for example 127.0.0.1:8080, or off")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value.get_secret_value()):
            raise ValueError("must be 1-256 letters, digits, _ or -")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _webhook_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with https://")
        return value

    @field_validator("alert_to")
    @classmethod
    def _alert_to(cls, value: SecretStr | None) -> SecretStr | None:
        for address in _listed(value):
            mail = address.startswith("mailto:") and re.fullmatch(r"[^@\s,;?]+@[^@\s,;?]+", address[7:])
            if mail and len(address[7:]) > LONGEST_MAIL_ADDRESS:
                raise ValueError(f"takes mail addresses of at most {LONGEST_MAIL_ADDRESS} characters")
            if not (mail or re.fullmatch(_WEB_ADDRESS, address)):
                raise ValueError("must be mailto:… or https://… addresses with commas between")
        return value if _listed(value) else None

    @field_validator("watchdog_url")
    @classmethod
    def _watchdog_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(_WEB_ADDRESS, value.get_secret_value()):
            raise ValueError("must be an https://… address")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            parts = urlsplit(value.get_secret_value() if value else "smtp://none")
            good = parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number
            good = False
        if not good:
            raise ValueError("must be smtp://user:password@host:587 or smtps://…, with % signs for odd characters")
        return value

    @model_validator(mode="after")
    def _webhook(self) -> Settings:
        if self.webhook_url and not self.webhook_secret:
            raise ValueError("WEBHOOK_URL needs WEBHOOK_SECRET beside it, or anybody could post updates")
        if self.send_rate > FREE_RATE and not self.paid_broadcast:
            raise ValueError(
                f"SEND_RATE above {FREE_RATE} needs PAID_BROADCAST=True: Telegram takes 0.1 Star for each message above it"
            )
        if not self.smtp_url and any(one.channel == "email" for one in self.alerts_to):
            raise ValueError("ALERT_TO names a mail address, so SMTP_URL has to name a mail server")
        return self

    @property
    def alerts_to(self) -> tuple[AlertAddress, ...]:
        """Where alerts go beside Telegram."""
        return tuple(AlertAddress.of(one) for one in _listed(self.alert_to))

    def token(self) -> str:
        """The bot's token.  Raises BadSettings when there is none, or it is not shaped like one."""
        secret = self.bot_token.get_secret_value() if self.bot_token else ""
        number, colon, rest = secret.partition(":")
        if not secret:
            raise BadSettings(
                f"{PREFIX}BOT_TOKEN is not set. Get a token from BotFather in Telegram and put it in the environment, "
                "or try `nudgebot rehearse`, which needs none."
            )
        if not (
            secret.isascii() and number.isdigit() and colon and len(rest) >= 10 and not re.search(r"[\s/]", secret)
        ):
            raise BadSettings(
                f"{PREFIX}BOT_TOKEN is not shaped like a token (digits, a colon, letters); copy it again."
            )
        return secret


def _listed(value: SecretStr | None) -> tuple[str, ...]:
    parts = value.get_secret_value().split(",") if value else ()
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


SECRETS = tuple(name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None)


def read_settings(**given: object) -> Settings:
    """Settings from the environment and `.env`; `given` wins.  Raises BadSettings, one sentence per wrong variable."""
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic validates what we hand over
    except UnicodeDecodeError:
        raise BadSettings("The file .env is not UTF-8 text; save it as UTF-8.") from None
    except ValidationError as error:
        raise BadSettings(" ".join(_sentence(part) for part in error.errors(include_input=False))) from None


def _sentence(part: object) -> str:
    detail = dict(part)  # type: ignore[call-overload]
    where = "".join(str(step) for step in detail["loc"])
    says = str(detail["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{where.upper()}: {says}." if where else f"{PREFIX}{says}."
