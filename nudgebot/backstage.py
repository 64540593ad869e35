"""How is the programme rehearsed in the browser?  Stand-in, bot, web chat and the hand behind the curtain, one process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import signal
import socket
import sys
import webbrowser
from calendar import monthrange
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from nudgebot.app import CannotStart, open_database
from nudgebot.curtain import Curtain
from nudgebot.library.loader import load, packaged_content
from nudgebot.library.problems import LibraryBroken, Problems
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.distress import compile_screen
from nudgebot.programme.places import country_name, find_country
from nudgebot.rehearsal import LocalPerson, SilenceError
from nudgebot.rehearsal.backstage import BackstageError
from nudgebot.rehearsal.chat import pages
from nudgebot.rehearsal.keeping import bring_back, keep, kept_at
from nudgebot.rehearse import QUIET_AFTER, Rehearsal
from nudgebot.settings import BadSettings
from nudgebot.storage import people
from nudgebot.storage.database import DATABASE_ERRORS, sqlite_file

Json = dict[str, Any]

NO_NETWORK = 1e9
"""Real seconds: the rehearsed clock, not the real one, says when it comes back."""

TEND_EVERY = 0.2
KEEP_EVERY = 5.0
PLAY_STEP = 0.25
"""Real seconds."""

LONGEST_MOVE = timedelta(days=3660)
MOST_STEPS = 20
"""Messages an onboarding may take before something must be wrong."""

UNITS = {"days": 1.0, "weeks": 7.0, "months": 30.4375, "years": 365.25}
NAMES = ("Priya", "Kwame", "Sofia", "Jun", "Aroha", "Tomás", "Amina", "Luca", "Ines", "Ravi", "Zola", "Eli")

OPENING: tuple[Json, ...] = (
    {"role": "parent", "name": "Anna", "country": "GB", "language": "en", "age": 19, "unit": "days"},
    {"role": "parent", "name": "Omar", "country": "KE", "language": "en", "age": 20, "unit": "months"},
    {"role": "parent", "name": "Mia", "country": "IE", "language": "en", "onboard": False},
    {"role": "coordinator", "name": "Ruth", "language": "en"},
)
"""Who is there at the start: a newborn, a toddler, somebody who has not pressed Start, and somebody who helps."""


class Stage(Rehearsal):
    """A rehearsal whose bot can be killed, whose network can fail, and whose chats may have been kept."""

    network_back_at: datetime | None = None
    returning = False
    pausing = False
    _heard = 0

    @property
    def chats_file(self) -> Path:
        return chats_file(sqlite_file(self.settings.database_url))

    async def start_bot(self) -> Any:
        if not self.standin.world.accounts:  # before the bot speaks to anybody
            self.returning = bring_back(self.standin.world, self.chats_file)
        return await super().start_bot()

    async def quiet(self) -> None:
        """As in every rehearsal, but nobody waits for a dead bot, for a lost network, or where nothing was said.

        It is quiet after every hop of a moving clock: there the page is told the time, and a move can be paused.
        """
        updates = self.standin.world.updates
        while self.app is not None:
            said = updates.next_id
            await self.app.settle()
            if self.network_back_at is not None or (said == self._heard and not self.standin.pending_updates):
                break
            if not self.standin.pending_updates:
                await asyncio.sleep(QUIET_AFTER)
                if not self.standin.pending_updates and not await self.app.intake.handle_stored():
                    self._heard = said
                    break
            await asyncio.sleep(0.01)
        self.standin.world.events.tell("clock", now=self.clock.now().isoformat())
        if self.pausing:
            raise PausedError

    async def kill_bot(self) -> None:
        """Nothing is finished and nothing written down, as when the power goes."""
        if self.app is None:
            return
        app, self.app = self.app, None
        await app.kill()


class PausedError(Exception):
    """Somebody stopped the clock on its way."""


class Director:
    """The backstage of rehearsal/chat.py, with a real bot behind it."""

    def __init__(self, stage: Stage, curtain: Curtain, content: Path | None, *, keeping: bool = False) -> None:
        self._stage = stage
        self._curtain = curtain
        self.content = content or packaged_content()
        self._keeping = keeping
        self._run = secrets.token_hex(4)
        self._moving: Json | None = None
        self._pace = 0.0
        self._mover: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()
        self._names = itertools.cycle(NAMES)
        self._tending = asyncio.create_task(self._tend())

    async def close(self) -> None:
        self._tending.cancel()
        await asyncio.gather(self._tending, return_exceptions=True)
        await self._halt_moving()
        await self._stage.stop_bot()  # what it still says belongs into what is kept
        if self._keeping:
            keep(self._stage.standin.world, self._stage.chats_file)
        await self._curtain.close()

    # --- what the page shows ------------------------------------------------------------------------------------

    async def stage(self) -> Json:
        accounts = list(self._stage.standin.world.accounts.values())
        parts = await self._curtain.cast([account.id for account in accounts])
        back = self._stage.network_back_at
        return {
            "id": self._run,
            "now": self._stage.clock.now().isoformat(),
            "bot": "running" if self._stage.app is not None else "down",
            "arriving": self._busy.locked(),
            "moving": self._moving,
            "playing": self._pace,
            "network_back_at": back.isoformat() if back else None,
            "content": {"tips": len(self._curtain.catalogue.tips), "version": self._curtain.catalogue.version},
            "cast": [
                {
                    "id": account.id,
                    "name": account.first_name,
                    "language": account.language_code,
                    "blocked": account.blocked,
                    **parts[account.id],
                }
                for account in accounts
            ],
        }

    async def behind(self, who: int | None) -> Json:
        accounts = self._stage.standin.world.accounts
        if who is not None and who not in accounts:
            raise BackstageError("That phone is not here.")
        names = {str(id): account.first_name for id, account in accounts.items()}
        return await self._curtain.behind(who, names) | {"plan": await self._plan(who)}

    async def _plan(self, who: int | None) -> Json | None:
        """Planning a week takes the database's one pen: while the clock races, the plan rests."""
        if who is None:
            return None
        if self._moving or self._pace:
            return {"of": who, "days": [], "says": "The clock is moving; the plan is made when it stands."}
        return await self._curtain.plan(who)

    def choices(self) -> Json:
        from babel import Locale

        catalogue = self._curtain.catalogue
        taken = {account.first_name for account in self._stage.standin.world.accounts.values()}
        countries = {code: country_name(code, "en") for code in catalogue.countries if code != "ZZ"}
        return {
            "name": next((name for name in NAMES if name not in taken), next(self._names)),
            "languages": [
                {"code": code, "name": Locale.parse(code, sep="-").get_display_name(code) or code}
                for code in catalogue.settings.languages
            ],
            "countries": [
                {"code": code, "name": name} for code, name in sorted(countries.items(), key=lambda pair: pair[1])
            ],
        }

    # --- time ---------------------------------------------------------------------------------------------------

    async def move(self, seconds: float | None) -> None:
        if self._moving is not None:
            raise BackstageError("The clock is already moving; pause it first.")
        if seconds is not None and timedelta(seconds=seconds) > LONGEST_MOVE:
            raise BackstageError("That is more than ten years: nobody's child is in the programme for longer.")
        await self._halt_moving()
        self._begin(self._move(None if seconds is None else self._stage.clock.now() + timedelta(seconds=seconds)))

    async def play(self, pace: float) -> None:
        await self._halt_moving()
        if pace:
            self._pace = pace
            self._begin(self._play(pace))
        self._tell()

    def _begin(self, motion: Coroutine[Any, Any, None]) -> None:
        self._mover = asyncio.create_task(motion)
        self._mover.add_done_callback(self._arrived)

    def _arrived(self, mover: asyncio.Task[None]) -> None:
        self._moving, self._pace = None, 0.0
        problem = None if mover.cancelled() else mover.exception()
        stuck = problem is not None and not isinstance(problem, PausedError)
        self._tell(**{"note": f"The clock stopped: {problem}"} if stuck else {})

    async def _halt_moving(self) -> None:
        """At the next hop: a bot that is cut in the middle of a step would be a dead one."""
        if self._mover is not None and not self._mover.done():
            self._stage.pausing = True
            await asyncio.gather(self._mover, return_exceptions=True)
            self._stage.pausing = False
        self._mover = None

    async def _move(self, target: datetime | None) -> None:
        clock = self._stage.clock
        since = clock.now()
        if target is None:
            moment = await self._stage.app.next_moment() if self._stage.app else None
            if moment is None:
                self._tell(note="Nothing is due: nobody has joined, or the bot is down.")
                return
            target = max(moment, since) + timedelta(seconds=1)
        self._moving = {"since": since.isoformat(), "until": target.isoformat()}
        self._tell()
        await self._reach(target)

    async def _play(self, pace: float) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            await self._reach(self._stage.clock.now() + timedelta(seconds=pace * PLAY_STEP))
            spent = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.01, PLAY_STEP - spent))

    async def _reach(self, target: datetime) -> None:
        """As far as `target`, with the network coming back on its way if it is to."""
        stage = self._stage
        if stage.network_back_at is not None and stage.network_back_at <= target:
            await self._go(stage.network_back_at)
            self._network_is_back()
        await self._go(target)

    async def _go(self, target: datetime) -> None:
        if self._stage.app is not None:
            await self._stage.move_to(target)
            return
        if target > self._stage.clock.now():
            self._stage.clock.move_to(target)
        await self._stage.quiet()

    # --- accidents ----------------------------------------------------------------------------------------------

    async def lose_network(self, seconds: float) -> None:
        if not seconds:
            self._network_is_back()
            return
        self._stage.network_back_at = self._stage.clock.now() + timedelta(seconds=seconds)
        self._stage.standin.network_down(NO_NETWORK)
        self._tell()

    def _network_is_back(self) -> None:
        self._stage.network_back_at = None
        self._stage.standin.network_down(0)
        self._tell()

    async def kill(self) -> None:
        await self._halt_moving()
        async with self._busy:
            await self._stage.kill_bot()
        self._tell()

    async def revive(self) -> None:
        if self._stage.network_back_at is not None:
            raise BackstageError("A bot starts by asking Telegram who it is, and there is no network: mend it first.")
        async with self._busy:
            if self._stage.app is None:
                try:
                    await self._stage.start_bot()
                except LibraryBroken as broken:
                    raise BackstageError(f"The bot cannot start: {broken}") from None
                except (CannotStart, BadSettings, *DATABASE_ERRORS) as problem:
                    raise BackstageError(f"The bot cannot start: {problem}") from None
        self._tell()

    async def reload(self) -> Json:
        problems = Problems(self.content)
        catalogue: Catalogue | None = None
        with contextlib.suppress(LibraryBroken):
            catalogue = await asyncio.to_thread(load, self.content, problems=problems)
        if catalogue is not None:
            screen = await asyncio.to_thread(compile_screen, catalogue.safety, catalogue.settings.main_language)
            self._curtain.reads(catalogue)
            if (app := self._stage.app) is not None:
                app.runtime.use(catalogue, screen)
            self._tell()
        return {"taken": catalogue is not None, "problems": [str(problem) for problem in problems]}

    # --- people -------------------------------------------------------------------------------------------------

    async def enrol(self, wanted: Json) -> Json:
        return {"id": (await self.enrol_all([wanted]))[0]}

    async def enrol_all(self, wanted: list[Json]) -> list[int]:
        """Phones for all of them; who is to be onboarded goes through it together, question by question."""
        async with self._busy:
            self._tell()
            if self._stage.app is None:
                raise BackstageError("The bot is down: start it first, so that somebody can be welcomed.")
            joining = [self._arrival(one) for one in wanted]
            try:
                await asyncio.gather(*(self._greets(arrival) for arrival in joining))
                for _ in range(MOST_STEPS):
                    await self._stage.quiet()
                    if not any(await asyncio.gather(*(self._goes_on(arrival) for arrival in joining))):
                        break
            except SilenceError as silence:
                raise BackstageError(f"The onboarding stopped: {silence}") from None
        self._tell()
        return [arrival.person.id for arrival in joining]

    def _arrival(self, wanted: Json) -> _Arrival:
        name = str(wanted.get("name") or next(self._names)).strip()[:64]
        language = str(wanted.get("language") or "en")
        country = str(wanted.get("country") or "GB")
        unit = UNITS.get(str(wanted.get("unit", "days")))
        age = wanted.get("age", 0)
        if unit is None or not isinstance(age, int | float) or not -40 * 7 <= age * unit <= 3660:
            raise BackstageError("An age is a number of days, weeks, months or years up to ten; negative = awaited.")
        if find_country(country_name(country, language), language) != country:
            raise BackstageError(f"There is no country with the code {country}.")
        role = wanted.get("role", "parent")
        if role not in ("parent", "coordinator"):
            raise BackstageError("A phone belongs to a parent or to a coordinator.")
        born = born_on(self._stage.clock.now().date(), age, str(wanted.get("unit", "days"))).isoformat()
        person = self._stage.standin.person(name, language)
        onboard = bool(wanted.get("onboard", True))
        return _Arrival(person, role, onboard, country_name(country, language), born, language)

    async def _greets(self, arrival: _Arrival) -> None:
        if arrival.role == "coordinator":
            await arrival.person.says(f"/start {await self._stage.invitation()}")
        elif arrival.onboard:
            await arrival.person.says("/start")

    async def _goes_on(self, arrival: _Arrival) -> bool:
        """Answers the question that is open; False when there is none."""
        if arrival.role == "coordinator" or not arrival.onboard or self._stage.app is None:
            return False
        runtime, person = self._stage.app.runtime, arrival.person
        async with runtime.database.read() as session:
            parent = await people.parent_at(session, "telegram", str(person.id))
        awaiting = parent.enrolment.awaiting if parent else None

        def label(key: str) -> str:
            return runtime.catalogue.phrase(key, parent.language if parent else arrival.language)

        match awaiting:
            case "consent":
                await person.taps(label("onboarding.agree"))
            case "country":
                await person.says(arrival.country)
            case "birth":
                await person.says(arrival.born)
            case "zone":
                await person.taps(person.last.labels[0])
            case "confirm":
                await person.taps(label("onboarding.start"))
            case _:
                return False
        return True

    # --- by itself ----------------------------------------------------------------------------------------------

    async def _tend(self) -> None:
        """The network comes back when the clock says so, and chats are kept from time to time."""
        world = self._stage.standin.world
        kept, since = world.events.last, asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(TEND_EVERY)
            back = self._stage.network_back_at
            if back is not None and back <= self._stage.clock.now():
                self._network_is_back()
            now = asyncio.get_running_loop().time()
            if self._keeping and world.events.last != kept and now - since > KEEP_EVERY:
                kept, since = world.events.last, now
                keep(world, self._stage.chats_file)

    def _tell(self, **what: Any) -> None:
        self._stage.standin.world.events.tell("backstage", **what)


class _Arrival:
    """Somebody new, and what they will answer."""

    def __init__(
        self, person: LocalPerson, role: str, onboard: bool, country: str, born: str, language: str
    ) -> None:  # fmt: skip
        self.person = person
        self.role = role
        self.onboard = onboard
        self.country = country
        self.born = born
        self.language = language


def born_on(today: date, age: float, unit: str) -> date:
    """The birthday (or due date) of somebody of this age; whole months and years as the calendar counts them."""
    months = {"months": 1, "years": 12}.get(unit, 0) * age
    if not months or months != int(months):
        return today - timedelta(days=round(age * UNITS[unit]))
    year, month = divmod(today.year * 12 + today.month - 1 - int(months), 12)
    return date(year, month + 1, min(today.day, monthrange(year, month + 1)[1]))


def chats_file(database: Path) -> Path:
    return database.with_name(f"{database.name}.chats.json")


@asynccontextmanager
async def open_stage(
    *, port: int = 0, keep: Path | None = None, content: Path | None = None, start: datetime | None = None
) -> AsyncIterator[tuple[Stage, Director]]:
    """The rehearsal with its page at `stage.standin.url`; new ones open with the OPENING families."""
    if keep is not None:
        start = kept_at(chats_file(keep)) or start
    async with Stage.open(keep=keep, start=start, content=content, port=port) as rehearsal:
        assert isinstance(rehearsal, Stage)
        assert rehearsal.app is not None
        curtain = Curtain(rehearsal.app.runtime, open_database(rehearsal.settings))
        director = Director(rehearsal, curtain, content, keeping=keep is not None)
        rehearsal.standin.pages = pages(rehearsal.standin.world, director)
        arrivals = director.enrol_all([] if rehearsal.returning else list(OPENING))
        opening = asyncio.create_task(arrivals)  # seen on the page as it happens
        try:
            yield rehearsal, director
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            await director.close()


def free_port(wanted: int) -> int:
    """The wanted one, or 0 (any) when somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def rehearse_in_browser(
    *, port: int, open_browser: bool, keep: Path | None, content: Path | None, say: Callable[[str], None] = _say
) -> None:
    """Runs until Ctrl-C.  Raises what App.open raises: one sentence for the person who started it."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    at = free_port(port)
    if at != port:
        say(f"Port {port} is taken, so another one was chosen.")
    async with open_stage(port=at, keep=keep, content=content) as (stage, _):
        say(f"The rehearsal is at {stage.standin.url}   (Ctrl-C ends it)")
        if keep is None:
            say("Everything is gone when it ends; --keep FILE lets you go on another day.")
        if open_browser:
            await asyncio.to_thread(webbrowser.open, stage.standin.url)
        await told.wait()
