"""What may a tag be, and how many may there be?

A tag is a word by which the team finds families again, and everybody on the team sees it: plain and short, so that it
stays a label and never becomes a note about somebody.
"""

from __future__ import annotations

import re

LONGEST = 20
"""Characters; a button carries a tag beside all else."""

MOST_OF_A_FAMILY = 8

MOST = 40
"""Different ones in a programme: more than these nobody keeps apart."""

_TAG = re.compile(rf"(?=.{{1,{LONGEST}}}$)[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


def read(written: str) -> list[str] | None:
    """`Visited, twins-club` as tags, in their order and each once; None if one of the words is none."""
    words = list(dict.fromkeys(written.casefold().replace(",", " ").split()))
    return words if words and all(_TAG.fullmatch(word) for word in words) else None
