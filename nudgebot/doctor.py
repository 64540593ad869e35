"""What is wrong with this installation, and how is it mended?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from nudgebot.app import load_catalogue, open_database
from nudgebot.channels.base import Halted, Refused
from nudgebot.channels.telegram import application
from nudgebot.library.loader import packaged_content
from nudgebot.library.problems import LibraryBroken
from nudgebot.programme.catalogue import Catalogue, Status
from nudgebot.programme.support import may_show
from nudgebot.settings import PREFIX, BadSettings, Settings
from nudgebot.storage import people
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
    found = [await _token(settings), await _database(settings)]
    catalogue: Catalogue | None = None
    try:
        catalogue = load_catalogue(settings, drafts=True)
    except LibraryBroken as broken:
        found.append(Finding("content", "bad", f"{broken}. Run `nudgebot content check`."))
    if catalogue is not None:
        found += _content(settings, catalogue)
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


async def _database(settings: Settings) -> Finding:
    try:
        file_is_writable(settings.database_url)
        if is_sqlite(settings.database_url) and not sqlite_file(settings.database_url).exists():
            return Finding("database", "warn", "there is none yet; `nudgebot run` makes it.")
        database = open_database(settings)
    except (BadSettings, DatabaseTrouble, WrongKey) as trouble:
        return Finding("database", "bad", str(trouble))
    try:
        if await current(database) != newest():
            return Finding("database", "bad", "its schema is not the newest; run `nudgebot migrate`.")
        await database.check_key(datetime.now(UTC))
        async with database.read() as session:
            parents = await people.count_by_state(session)
            team = await people.coordinators(session)
    except WrongKey as trouble:
        return Finding("database", "bad", str(trouble))
    except DATABASE_ERRORS as trouble:
        return Finding("database", "bad", trouble_in_words(trouble, settings.database_url))
    finally:
        await database.close()
    if not team:
        says = "nobody is on the team, so nobody can be enrolled; run `nudgebot coordinator invite lead`."
        return Finding("database", "warn", says)
    return Finding("database", "good", f"{parents.get('active', 0)} active parents, {len(team)} on the team")


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
    today = datetime.now(UTC).date()
    for country in catalogue.countries.values():
        uncalled = [line for line in country.lines if line.verified_on is None]
        served = settings.country == country.code or country.code in {
            cohort.country for cohort in catalogue.settings.cohorts.values()
        }
        if not served:
            continue
        if not any(line.kind == "crisis" and may_show(line, today) for line in country.lines):
            found.append(Finding("helplines", "bad", f"{country.name} has no crisis line that may be shown."))
        elif uncalled:
            says = f"{country.name}: {len(uncalled)} numbers have not been called by anybody; call them and note it."
            found.append(Finding("helplines", "warn", says))
    return found
