"""For whom is a broadcast that is not sent yet, and what can be changed of it?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from nudgebot.programme.audience import QUIET, STEPS, Audience
from nudgebot.programme.messages import CHOSEN, AfterTap, Choice
from nudgebot.programme.places import country_name
from nudgebot.runtime import Turn
from nudgebot.services import broadcast_words as in_words
from nudgebot.services.broadcast_words import button
from nudgebot.services.promises import Recipient, Rows, reply
from nudgebot.storage import people, tags
from nudgebot.storage.models import Broadcast, Coordinator

LONGEST_CODE = 28
"""Characters of a cohort's code that a button can carry beside all else."""

DONE = AfterTap(clear=True)

REPLACED = AfterTap(clear=True, gone=True)
"""A question that the next message asks anew: a trail of them would hide what stands."""

HERE = "here"
"""The detail of a button that leads from a choice back to the draft, in the place of the choice."""

Act = Callable[[Turn, Coordinator, Broadcast, str], Awaitable[AfterTap | None]]
"""What a button does; the text is its detail, or empty."""


async def changed(turn: Turn, one: Broadcast) -> None:
    """What was looked at is no longer what would go out."""
    one.revision += 1
    one.look_wanted_at = one.looked_at = one.looked_count = None
    await turn.session.flush()


async def show(turn: Turn, coordinator: Coordinator, one: Broadcast) -> None:
    """Whom it is for, and what can be changed."""
    values = {"number": one.id, "readers": _readers(turn, coordinator, one)}
    to = Recipient.coordinator(coordinator)
    if one.corrects is not None:
        values |= {"corrects": one.corrects}
        await reply(turn, to, "broadcast.draft_correction", values=values, rows=[*_looks(one), *rewords(turn, one)])
        return
    rows: list[tuple[Choice, ...]] = [*_looks(one), (button(one, "broadcast.button.age", "age"),)]
    offered = await _offered(turn, coordinator)
    if len(offered["languages"]) > 1:
        rows.append((button(one, "broadcast.button.language", "languages"),))
    if offered["countries"]:
        rows.append((button(one, "broadcast.button.country", "countries"),))
    if offered["cohorts"]:
        rows.append((button(one, "broadcast.button.cohort", "cohorts"),))
    if offered["tags"]:
        rows.append((button(one, "broadcast.button.tag", "tags"),))
    rows.append((button(one, "broadcast.button.last_answer", "quiet"),))
    if one.audience:
        rows.append((button(one, "broadcast.button.everybody", "everybody"),))
    await reply(turn, to, "broadcast.draft", values=values, rows=[*rows, *rewords(turn, one)])


def _looks(one: Broadcast) -> Rows:
    return [(button(one, "broadcast.button.look", "look"),)]


def rewords(turn: Turn, one: Broadcast) -> Rows:
    main, *others = languages_of(turn, one)
    say = turn.catalogue.phrase
    translated = [
        (button(one, say("broadcast.button.translate", main, code=code), "text", code, literal=True),)
        for code in others
    ]
    change = button(one, "broadcast.button.change", "text", main)
    return [*translated, (change, button(one, "broadcast.button.throw_away", "throw_away"))]


def languages_of(turn: Turn, one: Broadcast) -> list[str]:
    """In which it can be written, the main one first; a correction in those only that somebody has got."""
    return [code for code in turn.catalogue.settings.languages if one.corrects is None or code in one.words]


def _readers(turn: Turn, coordinator: Coordinator, one: Broadcast) -> str:
    return in_words.readers(turn.catalogue, coordinator.language, Audience.of_json(one.audience))


async def _narrow(turn: Turn, coordinator: Coordinator, one: Broadcast, audience: Audience) -> AfterTap:
    one.audience = audience.as_json()
    await changed(turn, one)
    await show(turn, coordinator, one)
    return REPLACED


async def _age(turn: Turn, coordinator: Coordinator, one: Broadcast, youngest: str) -> AfterTap:
    """From which age; then up to which.  Both together make the span."""
    names = list(STEPS)
    later = names[names.index(youngest) + 1 :] if youngest in STEPS else names[:-1]
    choices = [
        button(one, f"broadcast.age.{name}", *(("span", f"{youngest}-{name}") if youngest else ("age", name)))
        for name in later
    ]
    rows = [tuple(choices[start : start + 3]) for start in range(0, len(choices), 3)]
    key = "broadcast.which_oldest" if youngest else "broadcast.which_youngest"
    await reply(turn, Recipient.coordinator(coordinator), key, rows=rows)
    return REPLACED


async def _span(turn: Turn, coordinator: Coordinator, one: Broadcast, chosen: str) -> AfterTap | None:
    youngest, _, oldest = chosen.partition("-")
    if youngest not in STEPS or oldest not in STEPS or STEPS[youngest] >= STEPS[oldest]:
        return None
    standing = Audience.of_json(one.audience)
    wanted = replace(standing, youngest=STEPS[youngest], oldest=STEPS[oldest] - 1)
    return await _narrow(turn, coordinator, one, wanted)


async def _quiet(turn: Turn, coordinator: Coordinator, one: Broadcast, chosen: str) -> AfterTap | None:
    """How long ago they last answered: `within-30`, `silent-30`."""
    say = turn.catalogue.phrase
    if not chosen:
        rows = []
        for offered in QUIET:
            labels = {
                kind: say(f"broadcast.button.{kind}", coordinator.language, days=offered)
                for kind in ("within", "silent")
            }
            rows.append(
                tuple(button(one, label, "quiet", f"{kind}-{offered}", literal=True) for kind, label in labels.items())
            )
        await reply(turn, Recipient.coordinator(coordinator), "broadcast.which_quiet", rows=rows)
        return REPLACED
    kind, _, days = chosen.partition("-")
    if kind not in ("within", "silent") or days not in map(str, QUIET):
        return None
    standing, within = Audience.of_json(one.audience), kind == "within"
    wanted = replace(standing, heard_within=int(days) if within else None, silent_for=None if within else int(days))
    return await _narrow(turn, coordinator, one, wanted)


async def _offered(turn: Turn, coordinator: Coordinator) -> dict[str, dict[str, str]]:
    """Field of the audience -> code -> what it is called."""
    settings, say = turn.catalogue.settings, turn.catalogue.phrase
    countries = sorted(await people.countries_served(turn.session))
    cohorts = {code: code for code in await people.named_cohorts(turn.session)}
    cohorts |= {code: one.name for code, one in settings.cohorts.items()}
    return {
        "languages": {code: say("language.own_name", code) for code in settings.languages},
        "countries": {code: country_name(code, coordinator.language) for code in countries},
        "cohorts": {code: name for code, name in cohorts.items() if len(code) <= LONGEST_CODE},
        "tags": {tag: tag for tag in await tags.known(turn.session)},
    }


async def _pick(turn: Turn, coordinator: Coordinator, one: Broadcast, which: str, code: str) -> AfterTap | None:
    """Several may be chosen; a second tap takes one out again."""
    offered = (await _offered(turn, coordinator))[which]
    standing = Audience.of_json(one.audience)
    chosen: tuple[str, ...] = getattr(standing, which)
    if code:
        if code not in offered and code not in chosen:
            return None
        chosen = tuple(each for each in chosen if each != code) if code in chosen else (*chosen, code)
        one.audience = Audience.of_json(standing.as_json() | {which: list(chosen)}).as_json()
        await changed(turn, one)
    choices = [
        button(one, CHOSEN + name if each in chosen else name, which, each, literal=True)
        for each, name in offered.items()
    ]
    rows = [tuple(choices[start : start + 2]) for start in range(0, len(choices), 2)]
    rows.append((button(one, "broadcast.button.go_on", "show", HERE),))
    values = {"readers": _readers(turn, coordinator, one)}
    await reply(turn, Recipient.coordinator(coordinator), "broadcast.which", values=values, rows=rows)
    return REPLACED


async def _everybody(turn: Turn, coordinator: Coordinator, one: Broadcast, _: str) -> AfterTap:
    return await _narrow(turn, coordinator, one, Audience())


async def _show(turn: Turn, coordinator: Coordinator, one: Broadcast, detail: str) -> AfterTap:
    await show(turn, coordinator, one)
    return REPLACED if detail == HERE else DONE


def _picks(which: str) -> Act:
    async def pick(turn: Turn, coordinator: Coordinator, one: Broadcast, code: str) -> AfterTap | None:
        return await _pick(turn, coordinator, one, which, code)

    return pick


READERS_ACTS: dict[str, Act] = {
    "show": _show,
    "age": _age,
    "span": _span,
    "languages": _picks("languages"),
    "countries": _picks("countries"),
    "cohorts": _picks("cohorts"),
    "tags": _picks("tags"),
    "quiet": _quiet,
    "everybody": _everybody,
}
"""What chooses the readers of a draft."""
