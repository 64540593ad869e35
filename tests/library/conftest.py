"""A small content folder that is right in every way, for tests to break one thing at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from nudgebot.library.loader import read
from nudgebot.library.problems import Problem, Problems
from nudgebot.programme.catalogue import Catalogue

FILES = {
    "settings.yml": """
name: Small steps
run_by: the Bergen parents' circle
consent_version: "1"
week_start: monday
quiet_hours: 20:00-08:00
nudge_time: 09:00
duty: {tz: Europe/Oslo, days: Mon-Fri, hours: 09:00-17:00}
digests: ["09:30", "14:30"]
languages: [en, nb]
cohorts:
  spring: {name: Spring group, country: "NO", language: nb}
keep: {escalation_text_days: 30, deliveries_days: 90}
""",
    "themes.yml": """
themes:
  - {id: connect, name: Closeness}
  - {id: cues, name: Signals}
  - {id: selfcare, name: Yourself}
  - {id: rhythm, name: Routines}
  - {id: circle, name: Family}
  - {id: play, name: Play}
  - {id: repair, name: Mending}
""",
    "bands.yml": """
bands:
  - {id: PG, name: Pregnancy, days: -84 to -1}
  - {id: E0, name: Early}
  - {id: N1, name: First two weeks, days: 0-90}
  - {id: I1, name: Three months, days: 91-125, needed: {play: 1, connect: 2}}
evergreen:
  needed: {selfcare: 1}
""",
    "sources.yml": """
sources:
  - {id: partner.mirror, section: Play, use: tip, ages: 0-2y, idea: Copy what your baby does.}
  - {id: insec.labels, section: Patterns, use: do not use C16, ages: n/a, idea: Labels for children.}
""",
    "references.yml": """
references:
  - {id: R14, text: A guide to taking turns, seen: a leaflet}
""",
    "cards/crying.en.md": """---
title: When the crying is too much
menu: true
references: [R14]
status: draft
---
Lay your baby on the back in the cot. Call {emergency} if you are afraid.
""",
    "cards/crying.nb.md": """---
title: Når gråten blir for mye
status: draft
---
Legg babyen på ryggen i sengen. Ring {emergency} hvis du er redd.
""",
    "tips/i1/i1-play-kicks.en.md": """---
title: Mirror the kicks
theme: play
also: [cues]
days: 95-120
order: 30
gentle: true
flags: [CR]
card: crying
sources: [partner.mirror]
references: [R14]
variants:
  multiples: "copy one baby's kicks, then the other's, and see who answers first."
status: approved
reviewed_by: "Kari Nordmann (midwife)"
reviewed_on: 2026-02-01
---
Legs are how small babies answer
before they have words.

**Today:** when your baby kicks, tap the same rhythm on the mattress and wait for the next kick.
""",
    "tips/i1/i1-play-kicks.nb.md": """---
title: Spark tilbake
status: draft
---
Små babyer svarer med beina før de har ord.

**Today:** når babyen sparker, bank samme rytme på madrassen og vent på neste spark.
""",
    "tips/e0/e0-cues-rest.en.md": """---
title: A small rest
theme: cues
sources: [partner.mirror]
---
Early babies tire soon.

**Today:** hold still for one minute when your baby looks away.
""",
    "tips/evergreen/ev-selfcare-tea.en.md": """---
title: Half a cup
theme: selfcare
sources: [partner.mirror]
status: retired
---
You count too.

**Today:** drink half a cup of something warm while it is warm.
""",
    "check_ins/ci-cup.en.yml": """
question: "If your energy were a cup, how full is it today?"
domain: energy
slots: {newborn: 4, default: 3}
days: 0-4017
buttons:
  a: {label: "Empty", value: 1}
  b: {label: "Half", value: 3}
  c: {label: "Brimming", value: 5}
  d: {label: "Rather not", value: null}
replies:
  low:
    - {text: "Thank you for saying so.", step: "Sit down for a minute."}
    - {text: "Running on empty is hard.", step: "Drink something."}
  mid: {text: "Half is honest.", step: "Leave one thing undone."}
  high: {text: "Lovely."}
  none: {text: "That is fine."}
help_at_once: [1]
card: crying
sources: [partner.mirror]
status: draft
""",
    "check_ins/ci-cup.nb.yml": """
question: "Hvis energien var en kopp, hvor full er den i dag?"
buttons:
  a: {label: "Tom"}
  b: {label: "Halv"}
  c: {label: "Full"}
  d: {label: "Helst ikke"}
replies:
  low: {text: "Takk for at du sier det."}
  mid: {text: "Halv er ærlig."}
  high: {text: "Så fint."}
  none: {text: "Det er greit."}
status: draft
""",
    "support/ZZ.yml": """
name: Elsewhere
directory: "findahelpline.com"
""",
    "support/NO.yml": """
name: Norway
emergency: ["113", "112"]
directory: "findahelpline.com"
lines:
  - {kind: crisis, name: Mental Helse, number: "116 123", channel: call, hours: "24/7", tz: "", languages: [nb],
     cost: free, source: "the line's own page, 2026-11-20", grade: A, sources_agree: 2, source_seen_on: 2026-11-20}
""",
    "phrases/en.po": """
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Language: en\\n"

msgid "welcome"
msgstr "Hello {name}, this is {programme}."

msgid "menu.help"
msgstr "Help"
""",
    "phrases/nb.po": """
msgid "welcome"
msgstr "Hei {name}, dette er {programme}."

msgid "menu.help"
msgstr ""
""",
}

SAFETY_FILES = {
    "lexicon.en.yml": "sets: {kid: [baby, child]}\n",
    "soft_check/reply.en.yml": "text: Just checking.\njoined: Added.\nbuttons: [ok, not_ok]\n",
    "medical/category.yml": """\
precedence: {emergency: 1}
tips_effect: stop
effect_hours:
line_kinds: [health]
buttons: [talk]
""",
    "medical/reply.en.yml": """\
emergency: {text: "Call {emergency} now."}
status: draft
""",
    "medical/rules.en.yml": """\
rules:
  blue:
    severity: emergency
    phrases: ["@kid is blue"]
    examples: ["my baby is blue"]
    look_alikes: ["blue pram"]
""",
}
"""A safety folder as small as it can be; tests that want one write it to a place of theirs."""


class ContentFolder:
    """A content folder on disk; every method that changes it returns what reading it then complains about."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, text in FILES.items():
            self._put(name, text.removeprefix("\n").encode())

    def _put(self, name: str, data: bytes) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(data)

    def complaints(self) -> list[Problem]:
        problems = Problems(self.path)
        read(self.path, problems)
        return list(problems)

    def catalogue(self) -> Catalogue:
        return read(self.path, Problems(self.path)).catalogue

    def write(self, name: str, text: str | bytes) -> list[Problem]:
        self._put(name, text if isinstance(text, bytes) else text.encode())
        return self.complaints()

    def change(self, name: str, old: str, new: str) -> list[Problem]:
        text = (self.path / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        return self.write(name, text.replace(old, new, 1))

    def remove(self, name: str) -> list[Problem]:
        (self.path / name).unlink()
        return self.complaints()


@pytest.fixture
def content(tmp_path: Path) -> ContentFolder:
    return ContentFolder(tmp_path / "content")
