"""Which tips can fit a child of this age?  Worked out once for a library, because it is asked for every child every day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nudgebot.programme.catalogue import Tip


class Shelf:
    """Some tips in the order of sending.  With `any_age` every one of them fits whoever is given from here."""

    def __init__(self, tips: Sequence[Tip], *, any_age: bool = False) -> None:
        self.tips = tuple(tips)
        self.any_age = any_age

    def fitting(self, age: int) -> tuple[Tip, ...]:
        """Those whose window holds this age in days, in the order of sending."""
        return self.tips if self.any_age else self._parts[self.part(age)]

    def part(self, age: int) -> int:
        """Ages with the same number have the same tips."""
        return 0 if self.any_age else bisect_right(self._starts, age)

    @cached_property
    def _starts(self) -> list[int]:
        """The ages at which the answer changes: between two of them it is the same."""
        return sorted({tip.from_day for tip in self.tips} | {tip.to_day + 1 for tip in self.tips})

    @cached_property
    def _parts(self) -> list[tuple[Tip, ...]]:
        parts = [tuple(tip for tip in self.tips if tip.from_day <= age <= tip.to_day) for age in self._starts]
        return [(), *parts]


class Shelves:
    """A band's own tips, or the evergreens: by theme, and all together."""

    def __init__(self, stock: Mapping[str, Sequence[Tip]], *, any_age: bool = False) -> None:
        """`stock`: theme -> its tips in the order of sending."""
        self.themes = {theme: Shelf(tips, any_age=any_age) for theme, tips in stock.items()}
        self._all = Shelf(tuple(chain.from_iterable(stock.values())), any_age=any_age)
        self._between: dict[tuple[int, int], frozenset[str]] = {}
        self._lasting: dict[tuple[int, int], frozenset[str]] = {}

    def of(self, theme: str, age: int) -> tuple[Tip, ...]:
        shelf = self.themes.get(theme)
        return shelf.fitting(age) if shelf else ()

    def fitting(self, age: int) -> tuple[Tip, ...]:
        """Of all themes."""
        return self._all.fitting(age)

    def between(self, first: int, last: int) -> frozenset[str]:
        """Ids of tips whose window meets these ages.  Few pairs are ever asked for: a band and its stretches."""
        found = self._between.get((first, last))
        if found is None:
            found = frozenset(tip.id for tip in self._all.tips if tip.to_day >= first and tip.from_day <= last)
            self._between[first, last] = found
        return found

    def lasting(self, age: int, until: int) -> frozenset[str]:
        """Ids of tips that fit at this age and go on fitting until that one."""
        part = self._all.part(age)
        found = self._lasting.get((part, until))
        if found is None:
            found = frozenset(tip.id for tip in self._all.fitting(age) if tip.to_day >= until)
            self._lasting[part, until] = found
        return found


NOTHING = Shelves({})
"""The shelves of a band for which nobody has written anything."""
