"""How many parents say of a tip that it is not for them, and how sure can one be of it?"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z = 1.96
"""Of a normal distribution 95 % lie within so many standard deviations."""

FEW = 5
"""Below so many answers a share says nothing yet."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What was answered to one wording of one tip.  A share belongs to a wording: after a change it begins anew."""

    tip: str
    version: str
    did_it: int = 0
    not_today: int = 0
    not_for_us: int = 0

    @property
    def answered(self) -> int:
        return self.did_it + self.not_today + self.not_for_us

    @property
    def share(self) -> float | None:
        """Of the answers, "Not for us"; None without any."""
        return self.not_for_us / self.answered if self.answered else None

    @property
    def between(self) -> tuple[float, float]:
        return wilson(self.not_for_us, self.answered)


def wilson(part: int, whole: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score (J. Am. Stat. Assoc. 22:209, 1927): honest also for few and for none."""
    if whole == 0:
        return 0.0, 1.0
    share = part / whole
    middle = share + Z * Z / (2 * whole)
    spread = Z * sqrt(share * (1 - share) / whole + Z * Z / (4 * whole * whole))
    scale = 1 + Z * Z / whole
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
