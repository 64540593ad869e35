"""How are a broadcast's readers, its preview, its sums and its buttons said to a person of the team?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from nudgebot.programme import broadcast as rules
from nudgebot.programme.audience import STEPS, Audience
from nudgebot.programme.broadcast import Ledger, State, Words
from nudgebot.programme.catalogue import Catalogue
from nudgebot.programme.duty import moment_in_words
from nudgebot.programme.messages import Choice
from nudgebot.programme.places import country_name
from nudgebot.services.broadcasts import Preview
from nudgebot.storage.models import Broadcast


def readers(catalogue: Catalogue, language: str, audience: Audience) -> str:
    """Whom it is for, in one line."""
    say = _in(catalogue, language)
    known = catalogue.settings.cohorts
    parts = []
    if audience.by_age:
        parts.append(
            say("broadcast.for.ages", youngest=_age(say, audience.youngest), oldest=_until(say, audience.oldest))
        )
    parts += [
        catalogue.phrase("language.own_name", code)
        for code in audience.languages
        if code in catalogue.settings.languages
    ]
    parts += [country_name(code, language) for code in audience.countries]
    parts += [known[code].name if code in known else code for code in audience.cohorts]
    parts += [say("broadcast.for.tag", tag=tag) for tag in audience.tags]
    if audience.heard_within is not None:
        parts.append(say("broadcast.for.heard", days=audience.heard_within))
    if audience.silent_for is not None:
        parts.append(say("broadcast.for.silent", days=audience.silent_for))
    parts += [say("broadcast.for.missed", number=number) for number in audience.missed]
    for one in audience.answered:
        number, _, letter = one.partition(":")
        parts.append(say("broadcast.for.answered", number=number, place=rules.LETTERS.find(letter) + 1))
    parts += [say("broadcast.for.without", number=number) for number in audience.without]
    return ", ".join(parts) or say("broadcast.for.everybody")


Say = Callable[..., str]
"""`say(key, …)`: a phrase in the reader's language."""


def _in(catalogue: Catalogue, language: str) -> Say:
    return lambda key, **values: catalogue.phrase(key, language, **values)


def _age(say: Say, days: int | None) -> str:
    """An age that was offered has a name; any other one is said in days."""
    if days is None:
        return say("broadcast.age.any")
    name = next((name for name, step in STEPS.items() if step == days), None)
    return say(f"broadcast.age.{name}") if name else say("broadcast.age.days", days=days)


def _until(say: Say, oldest: int | None) -> str:
    return _age(say, None if oldest is None else oldest + 1)


def span(catalogue: Catalogue, language: str, seconds: float) -> str:
    """`3 seconds`, `12 minutes`, `2.5 hours`."""
    say = _in(catalogue, language)
    if seconds < 90:
        return say("broadcast.span.seconds", count=max(1, round(seconds)))
    if seconds < 5400:
        return say("broadcast.span.minutes", count=round(seconds / 60))
    return say("broadcast.span.hours", count=f"{seconds / 3600:.1f}")


def looked_at(catalogue: Catalogue, language: str, one: Broadcast, seen: Preview, rate: float) -> str:
    """What a preview found, line by line."""
    say, settings = _in(catalogue, language), catalogue.settings
    several = len(seen.words) > 1
    lines = [
        say("broadcast.look.lock_screen", line=f"{code}: {line}" if several else line)
        for code, line in seen.lock_screen.items()
    ]
    if one.corrects is not None and not seen.blockers:
        lines.append(say("broadcast.look.corrected", count=seen.count, span=span(catalogue, language, seen.seconds)))
        if seen.count > settings.approval_above:
            lines.append(say("broadcast.look.second_person", most=settings.approval_above))
        return "\n".join([*lines, *seen.worries])
    if not seen.blockers or seen.members:
        lines.append(
            say("broadcast.look.count", count=seen.count, readers=readers(catalogue, language, _audience(one)))
        )
        if several:
            lines.append(", ".join(f"{code}: {count}" for code, count in seen.languages.items()))
        lines += left_out(catalogue, language, seen.excluded)
    if seen.count:
        time = say("broadcast.look.time", span=span(catalogue, language, seen.seconds), rate=f"{rate:g}")
        cost = say("broadcast.look.stars", stars=seen.stars) if seen.stars else say("broadcast.look.free")
        lines.append(f"{time} {cost}")
    if seen.quiet:
        lines.append(say("broadcast.look.quiet", count=seen.quiet, hour=f"{settings.quiet_to:%H:%M}"))
    if not seen.blockers and seen.count > settings.approval_above:
        lines.append(say("broadcast.look.second_person", most=settings.approval_above))
    return "\n".join([*lines, *seen.worries, *seen.blockers])


def left_out(catalogue: Catalogue, language: str, excluded: Mapping[str, int]) -> list[str]:
    say = _in(catalogue, language)
    return [
        say("broadcast.look.left_out", count=count, why=say(f"broadcast.left_out.{name}"))
        for name, count in excluded.items()
    ]


def _audience(one: Broadcast) -> Audience:
    return Audience.of_json(one.audience)


def state(catalogue: Catalogue, language: str, one: Broadcast) -> str:
    stopped = one.state == State.PAUSED and one.why == "refused"
    return catalogue.phrase("broadcast.state.refused" if stopped else f"broadcast.state.{one.state}", language)


def progress(
    catalogue: Catalogue,
    language: str,
    one: Broadcast,
    sums: Ledger,
    answers: Mapping[str, int],
    last: datetime | None,
    now: datetime,
    rate: float,
) -> str:
    """How far it is, line by line.  `last`: when the last of those who wait for their morning may get it."""
    say, tz = _in(catalogue, language), catalogue.settings.duty.tz
    if one.state in (State.DRAFT, State.ASKED):
        return say("broadcast.progress.nothing")
    if one.state == State.SCHEDULED:
        when = moment_in_words(one.starts_at, now, tz, language)
        begins = say("broadcast.progress.begins", when=when, zone=tz)
        return f"{begins} {say('broadcast.progress.at_their_hour', hour=one.hour)}" if one.hour else begins
    lines = [say("broadcast.progress.sent", count=sums.sent, audience=sums.audience)]
    lines += [say("broadcast.progress.failed", count=count, why=why) for why, count in sums.failed.items()]
    if sums.unknown:
        lines.append(say("broadcast.progress.unknown", count=sums.unknown))
    lines += left_out(catalogue, language, sums.skipped)
    if sums.left:
        ends = now + timedelta(seconds=rules.seconds_needed(sums.left, rate))
        ends = max(ends, min(last, one.expires_at)) if last else ends
        until = moment_in_words(ends, now, tz, language)
        key = "broadcast.progress.left" if one.state == State.RUNNING else "broadcast.progress.left_standing"
        lines.append(say(key, count=sums.left, when=until, zone=tz))
    words = words_for(catalogue, language, one)
    for letter, label in zip(rules.LETTERS, words.answers, strict=False):
        lines.append(say("broadcast.progress.answer", label=label, count=answers.get(letter, 0)))
    if one.amending:
        lines.append(say(f"broadcast.progress.{one.amending}"))
    return "\n".join(lines)


def words_for(catalogue: Catalogue, language: str, one: Broadcast) -> Words:
    """As a reader of this language has them."""
    stored = one.words.get(language) or one.words.get(catalogue.settings.main_language)
    return Words.of_json(stored or next(iter(one.words.values())))


def button(one: Broadcast, label: str, *act: str, literal: bool = False) -> Choice:
    """It carries the broadcast's number and revision, and never a right."""
    return Choice(label, "broadcast", (str(one.id), str(one.revision), *act), literal)
