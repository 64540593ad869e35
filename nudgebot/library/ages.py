"""How old is that, in words that people use?  For those who read and review the library; in English."""

from __future__ import annotations

WEEK = 7
MONTH = 365.25 / 12
YEAR = 365.25


def age_in_words(days: int) -> str:
    """`5 days`, `6 weeks`, `4 months`, `3 years`: as people count at that age.  Below zero: before birth."""
    if days == 0:
        return "birth"
    if days < 0:
        return f"{_many(-days, WEEK, 'week')} before birth" if days <= -WEEK else f"{_count(-days, 'day')} before birth"
    if days < 2 * WEEK:
        return _count(days, "day")
    if days < 13 * WEEK:
        return _many(days, WEEK, "week")
    if days < 2 * YEAR - 1:
        return _many(days, MONTH, "month")
    return _many(days, YEAR, "year")


def ages_in_words(from_day: int, to_day: int) -> str:
    """Both ends included: `day 91 to 125: 3 to 4 months`."""
    if from_day > to_day:  # the band of early babies has no days
        return "before the due date"
    return f"day {from_day} to {to_day}: {span_in_words(from_day, to_day)}"


def span_in_words(from_day: int, to_day: int) -> str:
    """`3 to 4 months`, `2 weeks to 3 months`: from the first day to the end of the last one."""
    first, last = age_in_words(from_day), age_in_words(to_day + 1)
    if first == last:
        return first
    unit = last.partition(" ")[2]
    if first.partition(" ")[2] == unit:
        first = first.partition(" ")[0]
    return f"{first} to {last}"


def _many(days: int, length: float, unit: str) -> str:
    # A birthday is never far off: day 91 is three months, day 730 two years, though the calendar may say a day later.
    return _count(int((days + 1) / length), unit)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"
