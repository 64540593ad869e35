"""What may the web chat ask of whoever runs the bot?  The stand-in knows no bot, so this is only a contract."""

from __future__ import annotations

from typing import Protocol

from nudgebot.rehearsal.world import Json


class BackstageError(Exception):
    """It cannot be done now; one sentence for the person at the page."""


class Backstage(Protocol):
    """Everything is JSON as the page reads it; moments are ISO 8601 in UTC, big numbers are strings.

    Whatever changes what `stage` says is told to the world's events as kind `backstage`.  Every method that does
    something may raise BackstageError.
    """

    async def stage(self) -> Json:
        """What every phone and the clock bar show.

        id (of this run), now, bot (running | down), moving ({since, until} or null), arriving (somebody is being
        onboarded), playing (rehearsed seconds per second, 0 = paused), network_back_at, content ({tips, version}),
        cast: for each phone id, name, role (parent | coordinator | new), state, tz, country, language,
        children ([{name, words, days}]), next_nudge_at, blocked.
        """

    async def behind(self, who: int | None) -> Json:
        """What happens behind the curtain, for one phone or all.

        ledger (newest first), counts (kind -> state -> how many), answers, plan ({of, days, says}); cases are all.
        """

    def choices(self) -> Json:
        """What a new phone may be: languages and countries, each [{code, name}], and a free name."""

    async def enrol(self, wanted: Json) -> Json:
        """A new phone, taken through onboarding by real messages if `onboard`; {id}.

        Keys: role (parent | coordinator), name, country, language, age, unit (days | weeks | months | years), onboard.
        """

    async def move(self, seconds: float | None) -> None:
        """Begins to move the clock by so much, or (None) to the next message; `stage` says when it has arrived."""

    async def play(self, pace: float) -> None:
        """Lets so many rehearsed seconds pass in each second; 0 pauses, also a move."""

    async def lose_network(self, seconds: float) -> None:
        """No network for so many rehearsed seconds; 0 brings it back."""

    async def kill(self) -> None:
        """The bot ends as by a power cut."""

    async def revive(self) -> None:
        """A new bot starts on what the dead one left."""

    async def reload(self) -> Json:
        """Reads the content files again: {problems: [sentences], taken: whether the bot now speaks from them}."""
