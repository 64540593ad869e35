"""What is wrong with this installation, and how is it mended?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from nudgebot.app import load_catalogue, open_database, second_channel
from nudgebot.channels import email
from nudgebot.channels.base import Halted, Refused
from nudgebot.channels.telegram import application
from nudgebot.library.loader import packaged_content
from nudgebot.library.problems import LibraryBroken
from nudgebot.programme.catalogue import Catalogue, Status
from nudgebot.programme.support import Checks, may_show, with_checks, worries
from nudgebot.services import broadcasts, support_lines
from nudgebot.settings import PREFIX, BadSettings, Settings
from nudgebot.storage import people, staff
from nudgebot.storage.database import (
    DATABASE_ERRORS,
    DatabaseTrouble,
    file_is_writable,
    is_sqlite,
    sqlite_file,
    trouble_in_words,
)
from nudgebot.storage.encryption import WrongKey
from nudgebot.storage.migrating import current, newest


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    state: Literal["good", "warn", "bad"]
    says: str


async def examine(settings: Settings) -> list[Finding]:
    """Every part looked at, whatever the others say.  Writes nothing."""
    database, known = await _database(settings)
    found = [await _token(settings), database, *await _second_channel(settings), _watchdog(settings)]
    if settings.paid_broadcast:
        found.append(_paid(settings, known.active))
    if known.team and not known.on_duty:
        found.append(
            Finding("duty", "warn", "nobody is on duty, so alerts go to the leads; /duty in the chat changes that.")
        )
    catalogue: Catalogue | None = None
    try:
        catalogue = load_catalogue(settings, drafts=True)
    except LibraryBroken as broken:
        found.append(Finding("content", "bad", f"{broken}. Run `nudgebot content check`."))
    if catalogue is not None:
        found += _content(settings, catalogue)
        found += _lines(settings, with_checks(catalogue, known.checks), known.served)
    return found


async def _token(settings: Settings) -> Finding:
    try:
        name = await application.username(settings.token(), settings.bot_api_url)
    except BadSettings as trouble:
        return Finding("token", "bad", str(trouble))
    except Halted:
        return Finding("token", "bad", f"{settings.bot_api_url} does not accept it; copy it from BotFather again.")
    except Refused as refused:
        return Finding("token", "bad", f"{settings.bot_api_url} cannot be reached ({refused.says}); check the network.")
    return Finding("token", "good", f"the bot is @{name}")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database says about the team and the lines; all empty when it cannot be asked."""

    active: int = 0  # parents
    team: int = 0
    on_duty: int = 0
    served: frozenset[str] = frozenset()
    checks: Checks = field(default_factory=dict)


async def _database(settings: Settings) -> tuple[Finding, _Known]:
    nothing = _Known()
    try:
        file_is_writable(settings.database_url)
        if is_sqlite(settings.database_url) and not sqlite_file(settings.database_url).exists():
            return Finding("database", "warn", "there is none yet; `nudgebot run` makes it."), nothing
        database = open_database(settings)
    except (BadSettings, DatabaseTrouble, WrongKey) as trouble:
        return Finding("database", "bad", str(trouble)), nothing
    try:
        if await current(database) != newest():
            return Finding("database", "bad", "its schema is not the newest; run `nudgebot migrate`."), nothing
        await database.check_key(datetime.now(UTC))
        async with database.read() as session:
            parents = await people.count_by_state(session)
            team = await staff.team(session)
            served = frozenset(await people.countries_served(session))
            known = _Known(
                parents.get("active", 0),
                len(team),
                sum(one.on_duty for one in team),
                served,
                await support_lines.known(session),
            )
    except WrongKey as trouble:
        return Finding("database", "bad", str(trouble)), nothing
    except DATABASE_ERRORS as trouble:
        return Finding("database", "bad", trouble_in_words(trouble, settings.database_url)), nothing
    finally:
        await database.close()
    if not team:
        says = "nobody is on the team, so nobody can be enrolled; run `nudgebot coordinator invite lead`."
        return Finding("database", "warn", says), known
    return Finding("database", "good", f"{parents.get('active', 0)} active parents, {len(team)} on the team"), known


def _paid(settings: Settings, active: int) -> Finding:
    """What speed may cost in a day, before anything is sent."""
    stars = broadcasts.stars_for(settings, active)
    says = (
        f"{PREFIX}PAID_BROADCAST is on: at {settings.send_rate:g} messages a second, a message to each of {active} active "
        f"parents may cost {stars} Stars. Telegram asks for a large balance before it allows that at all."
    )
    return Finding("stars", "warn", says)


async def _second_channel(settings: Settings) -> list[Finding]:
    """Is there a way to people beside Telegram?  The mail server is asked; nothing is sent."""
    if not settings.alerts_to:
        says = f"there is none: when Telegram fails nobody hears of an emergency. Set {PREFIX}ALERT_TO."
        return [Finding("alerts", "warn", says)]
    addresses = ", ".join(one.identifier for one in settings.alerts_to)
    mail = second_channel(settings, "nudgebot").get(email.NAME)
    if isinstance(mail, email.EmailChannel):
        try:
            await mail.reach()
        except Refused as refused:
            return [Finding("alerts", "bad", f"{refused.says}; check {PREFIX}SMTP_URL.")]
    return [Finding("alerts", "good", f"alerts also go to {addresses}")]


def _watchdog(settings: Settings) -> Finding:
    """Would anybody hear that the bot is gone?  Nothing is called: that would say that it is well."""
    if settings.watchdog_url is None:
        says = f"there is none: nobody hears of it when the bot is gone. Set {PREFIX}WATCHDOG_URL."
        return Finding("watchdog", "warn", says)
    return Finding("watchdog", "good", "its address is called every three minutes while the bot is well")


def _content(settings: Settings, catalogue: Catalogue) -> list[Finding]:
    folder = settings.content or packaged_content()
    main = catalogue.settings.main_language
    drafts = sum(tip.texts[main].review.status is not Status.APPROVED for tip in catalogue.tips.values())
    found = [Finding("content", "good", f"{len(catalogue.tips)} tips in {folder.name}/, version {catalogue.version}")]
    if drafts:
        held = settings.unreviewed_content == "refuse"
        says = f"{drafts} tips have been reviewed by nobody; " + (
            "they are not sent." if held else f"they ARE sent, because {PREFIX}UNREVIEWED_CONTENT=send."
        )
        state: Literal["warn", "bad"] = "bad" if held and drafts == len(catalogue.tips) else "warn"
        found.append(Finding("review", state, says))
    return found


def _lines(settings: Settings, catalogue: Catalogue, served: frozenset[str]) -> list[Finding]:
    """Can a parent in trouble be given a number?  Where families live, and where the programme means to enrol them."""
    found: list[Finding] = []
    today = datetime.now(UTC).date()
    meant = {cohort.country for cohort in catalogue.settings.cohorts.values()} | {settings.country}
    for country in catalogue.countries.values():
        if country.code not in served | meant:
            continue
        uncalled = [line for line in country.lines if line.verified_on is None]
        worried = worries(country, today)
        if not any(line.kind == "crisis" and may_show(line, today) for line in country.lines):
            found.append(Finding("helplines", "bad", f"{country.name} has no crisis line that may be shown."))
        elif uncalled or worried:
            says = f"{country.name}: {len(uncalled)} numbers have not been called by anybody; call them: /lines {country.code}"
            unconfirmed = any(worry.line is None for worry in worried)
            says += ", first of all a crisis line." if unconfirmed else "."
            found.append(Finding("helplines", "warn", says))
        found += [
            Finding(
                "helplines", "warn", f"{country.name}: {worry.line.name} is shown only until {worry.until}; call it."
            )
            for worry in worried
            if worry.line is not None
        ]
    return found
