"""What does the content folder say, and is it fit to be said?  Reads every file once and names every mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import time
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import nudgebot
from nudgebot.library import formats
from nudgebot.library.formats import BandPlan, Known, Reference, Source
from nudgebot.library.phrases import Phrases, compare, complain_of_untranslated, phrases
from nudgebot.library.problems import LibraryBroken, Problems
from nudgebot.library.record import ID, LANGUAGE, Place, Record, composed, decoded, nearest, shallow
from nudgebot.library.safety_files import load_safety
from nudgebot.programme.catalogue import (
    ANYWHERE,
    EVERGREEN,
    Card,
    CardText,
    Catalogue,
    CheckIn,
    CheckInText,
    Country,
    DutyHours,
    ProgrammeSettings,
    SafetyLibrary,
    Status,
    Tip,
    TipText,
)

Text = TypeVar("Text", TipText, CheckInText)

LARGEST_FILE = 2_000_000
NAME = re.compile(rf"({ID.pattern})\.({LANGUAGE.pattern})\.[a-z]+")

NO_SETTINGS = ProgrammeSettings(
    name="", run_by="", consent_version="", week_start=0, quiet_from=time(20), quiet_to=time(8), nudge_time=time(9),
    duty=DutyHours("UTC", (), time(0), time(1)), languages=("en",), main_language="en",
)  # fmt: skip
"""Stands in while the other files are read, when settings.yml cannot be."""


@dataclass(frozen=True)
class Library:
    """The catalogue, and what only authors need: where texts come from and how many tips a band should have."""

    folder: Path
    catalogue: Catalogue
    plans: Mapping[str, BandPlan]
    evergreen_needed: Mapping[str, int]
    sources: Mapping[str, Source]
    references: Mapping[str, Reference]
    waived: Mapping[str, tuple[str, ...]]
    """File below the folder -> the lint rules an editor has set aside for it, after looking."""
    switched_off: tuple[Path, ...]
    """Files in a language that settings.yml does not list: checked, but not part of the catalogue."""


def load(folder: Path, *, problems: Problems | None = None) -> Catalogue:
    """Everything in this content folder that may still be said: retired texts stay behind.

    Raises:
        LibraryBroken: with every problem of every file, never only the first.
    """
    return without_retired(load_library(folder, problems=problems).catalogue)


def load_library(folder: Path, *, problems: Problems | None = None) -> Library:
    """Like `load`, with what only authors need."""
    problems = Problems(folder) if problems is None else problems
    library = read(folder, problems)
    if problems.errors:
        raise LibraryBroken(problems.errors)
    return library


def read(folder: Path, problems: Problems) -> Library:
    """Whatever can be read, with all complaints in `problems`: for lint, which wants to go on."""
    files = _Files(folder, problems)
    settings = formats.settings(files.record("settings.yml", "settings.yml")) if files.there else NO_SETTINGS
    formats.themes(files.record("themes.yml", "themes.yml"))
    plans, evergreen_needed = formats.bands(files.record("bands.yml", "bands.yml"))
    sources = formats.sources(files.record("sources.yml", "sources.yml"))
    references = formats.references(files.record("references.yml", "references.yml"))
    reading = _Reading(files, settings)
    cards = reading.cards(references)
    known = Known(plans, sources, references, set(cards))
    catalogue = Catalogue(
        settings=settings,
        bands=tuple(plan.band for plan in plans.values()),
        tips=reading.tips(known),
        check_ins=reading.check_ins(known),
        cards=cards,
        countries=reading.countries(),
        phrases=reading.phrases(),
        safety=_safety(files),
        version=files.version,
    )
    return Library(
        folder, catalogue, plans, evergreen_needed, sources, references, reading.waived, tuple(reading.switched_off)
    )


def _safety(files: _Files) -> SafetyLibrary:
    names = [name for name in files.below("safety") if name.endswith(".yml")]
    texts = {name: text for name in names if (text := files.text(name)) is not None}
    if all([shallow(files.place(name), text) for name, text in texts.items()]):
        return load_safety(files.folder / "safety", files.problems)
    return SafetyLibrary(categories={}, rules={}, soft_check={}, lexicon={})


def packaged_content() -> Path:
    """The content that comes with nudgebot: inside an installed package, beside it in a checkout."""
    package = Path(nudgebot.__file__).parent
    installed = package / "content"
    return installed if installed.is_dir() else package.parent / "content"


def approved_only(catalogue: Catalogue) -> Catalogue:
    """The catalogue without tips, check-ins and translations that no named person stands behind.

    Cards, safety, support lines and phrases stay: help is never withheld.
    """
    return _keeping(catalogue, {Status.APPROVED})


def without_retired(catalogue: Catalogue) -> Catalogue:
    """The catalogue with drafts, and without what was retired."""
    return _keeping(catalogue, set(Status) - {Status.RETIRED})


def _keeping(catalogue: Catalogue, wanted: set[Status]) -> Catalogue:
    main = catalogue.settings.main_language

    def kept(texts: Mapping[str, Text]) -> dict[str, Text]:
        return {language: text for language, text in texts.items() if text.review.status in wanted}

    tips = {id_: replace(tip, texts=kept(tip.texts)) for id_, tip in catalogue.tips.items()}
    check_ins = {id_: replace(check_in, texts=kept(check_in.texts)) for id_, check_in in catalogue.check_ins.items()}
    return replace(
        catalogue,
        tips={id_: tip for id_, tip in tips.items() if main in tip.texts},
        check_ins={id_: check_in for id_, check_in in check_ins.items() if main in check_in.texts},
    )


class _Files:
    """The bytes of every file below the content folder, by path relative to it."""

    def __init__(self, folder: Path, problems: Problems) -> None:
        self.folder = folder
        self.problems = problems
        self.there = folder.is_dir()
        if not self.there:
            problems.add(folder, 0, "there is no content folder here: check the setting NUDGEBOT_CONTENT")
        self.data = dict(self._read())

    def _read(self) -> Iterator[tuple[str, bytes]]:
        for where, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(where, name)
                if name.startswith(".") or name == "README.md" or not path.is_file():
                    continue
                yield from self._read_one(path)

    def _read_one(self, path: Path) -> Iterator[tuple[str, bytes]]:
        relative = path.relative_to(self.folder).as_posix()
        printable = os.fsencode(relative).decode(errors="replace")
        if printable != relative:
            self.problems.add(self.folder / printable, 0, "the name of this file has broken letters: rename it")
            return
        try:
            if path.stat().st_size > LARGEST_FILE:
                says = f"this file is larger than {LARGEST_FILE // 1_000_000} MB: it cannot be content"
                self.problems.add(path, 0, says)
                return
            yield relative, path.read_bytes()
        except OSError as error:
            self.problems.add(path, 0, f"this file cannot be read: {error.strerror}")

    @cached_property
    def version(self) -> str:
        digest = sha256()
        for name, data in sorted(self.data.items()):
            digest.update(f"{len(name)} {name} {len(data)} ".encode())
            digest.update(data)
        return digest.hexdigest()[:12]

    def place(self, name: str) -> Place:
        return Place(self.folder / name, self.problems)

    def text(self, name: str) -> str | None:
        return decoded(self.place(name), self.data[name])

    def record(self, name: str, what: str) -> Record:
        """The mapping in this file; a silent empty one when there is no file."""
        place = self.place(name)
        if name not in self.data:
            if self.there:
                place.complain(0, "this file is missing")
            return Record(place, None, what, silent=True)
        text = self.text(name)
        node = composed(place, text) if text is not None else None
        return Record(place, node, what, silent=node is None)

    def below(self, folder: str) -> Iterator[str]:
        """Names of the files in this folder and its own folders, in order."""
        return (name for name in self.data if name.startswith(f"{folder}/"))


@dataclass
class _Reading:
    """Groups the files of one text in several languages, and reads each kind."""

    files: _Files
    settings: ProgrammeSettings
    waived: dict[str, tuple[str, ...]] = field(default_factory=dict)
    switched_off: list[Path] = field(default_factory=list)

    @property
    def main(self) -> str:
        return self.settings.main_language

    def _grouped(self, folder: str, suffix: str) -> dict[str, dict[str, str]]:
        """Files by id (with its folder) and language.  Complains about names, and ids without the main language."""
        groups: dict[str, dict[str, str]] = {}
        for name in self.files.below(folder):
            where, _, file = name.rpartition("/")
            match = NAME.fullmatch(file)
            if match is None or not file.endswith(suffix):
                example = f"{Path(file).name.split('.')[0].lower() or 'name'}.{self.main}{suffix}"
                self._complain(name, f"a file here is called like {example}: small letters, digits and hyphens")
            elif len(match[1]) > formats.LONGEST_ID:
                self._complain(
                    name, f"the id {match[1]} is {len(match[1])} characters, the limit is {formats.LONGEST_ID}"
                )
            else:
                groups.setdefault(f"{where}/{match[1]}", {})[match[2]] = name
        for group, names in groups.items():
            if self.main not in names:
                first = next(iter(names.values()))
                self._complain(first, f"{Path(group).name} has no file in the main language ({self.main})")
        return groups

    def _complain(self, name: str, says: str) -> None:
        self.files.place(name).complain(0, says)

    def _listed(self, language: str, name: str) -> bool:
        """Is this language switched on?  If not, its files are checked and left out."""
        if language not in self.settings.languages:
            self.switched_off.append(self.files.folder / name)
            return False
        return True

    def _version(self, name: str) -> str:
        return sha256(self.files.data[name]).hexdigest()[:12]

    # --- Markdown ----------------------------------------------------------------------------------------------------

    def _document(self, name: str, what: str) -> formats.Document | None:
        text = self.files.text(name)
        return formats.document(self.files.place(name), text, what) if text is not None else None

    def tips(self, known: Known) -> dict[str, Tip]:
        found: dict[str, Tip] = {}
        for group, names in self._grouped("tips", ".md").items():
            folder, _, id_ = group.removeprefix("tips/").rpartition("/")
            if not self._belongs(folder, id_, next(iter(names.values())), known):
                continue
            main: formats.Document | None = None
            texts: dict[str, TipText] = {}
            for language, name in names.items():
                document = self._document(name, "a tip")
                if document is None:
                    continue
                text = formats.tip_text(document)
                self.waived[name] = document.front.texts("waived")
                if language == self.main:
                    main = document
                else:
                    document.front.finish()
                if self._listed(language, name):
                    texts[language] = text
            if main is not None:
                found[id_] = formats.tip(id_, folder, main, known, self._version(names[self.main]), texts)
        return found

    def _belongs(self, folder: str, id_: str, name: str, known: Known) -> bool:
        """Does the folder exist in the programme, and does the id begin with it?"""
        folders = {band.lower(): band.lower() for band in known.bands} | {EVERGREEN: formats.EVERGREEN_PREFIX}
        if not known.bands:  # bands.yml has its own complaint, and hides no mistake of a tip
            return True
        if folder not in folders:
            self._complain(name, f'"{folder}" is no band of bands.yml.{nearest(folder, folders)}')
            return False
        if not id_.startswith(f"{folders[folder]}-"):
            self._complain(name, f"the name of a tip in tips/{folder} starts with {folders[folder]}-")
            return False
        return True

    def cards(self, references: Mapping[str, Reference]) -> dict[str, Card]:
        found: dict[str, Card] = {}
        for group, names in self._grouped("cards", ".md").items():
            main: formats.Document | None = None
            texts: dict[str, CardText] = {}
            menu = False
            for language, name in names.items():
                document = self._document(name, "a card")
                if document is None:
                    continue
                text = formats.card_text(document)
                if language == self.main:
                    main = document
                    menu = document.front.yes_no("menu")
                    document.front.choices("references", references, one="a reference")
                document.front.finish()
                if self._listed(language, name):
                    texts[language] = text
            if main is not None:
                self._same_places(names, texts)
                id_ = Path(group).name
                found[id_] = Card(id_, texts, self._version(names[self.main]), menu)
        return found

    def _same_places(self, names: Mapping[str, str], texts: Mapping[str, CardText]) -> None:
        """A translated card must name the same numbers: one without {emergency} could cost a life."""
        for language, text in texts.items():
            mine, main = (
                formats.places(text.body),
                formats.places(texts[self.main].body) if self.main in texts else None,
            )
            if mine is not None and main is not None and mine != main:
                differ = ", ".join(f"{{{name}}}" for name in sorted(mine ^ main))
                self._complain(names[language], f"this translation and the main language do not both have {differ}")

    # --- YAML --------------------------------------------------------------------------------------------------------

    def check_ins(self, known: Known) -> dict[str, CheckIn]:
        found: dict[str, CheckIn] = {}
        for group, names in self._grouped("check_ins", ".yml").items():
            if self.main not in names:
                continue
            main = self.files.record(names[self.main], "a check-in")
            if not main.readable:
                continue
            buttons = formats.buttons(main)
            texts: dict[str, CheckInText] = {}
            for language, name in names.items():
                record = main if language == self.main else self.files.record(name, "a translated check-in")
                text = formats.check_in_text(record, buttons, translated=language != self.main)
                if language != self.main:
                    record.finish()
                if self._listed(language, name):
                    texts[language] = text
            id_ = Path(group).name
            found[id_] = formats.check_in(id_, main, buttons, known, self._version(names[self.main]), texts)
        return found

    def countries(self) -> dict[str, Country]:
        found: dict[str, Country] = {}
        for name in self.files.below("support"):
            code = name.removeprefix("support/").removesuffix(".yml")
            if not re.fullmatch(r"[A-Z]{2}", code) or not name.endswith(".yml"):
                self._complain(name, "a file here is called by the two capital letters of its country, such as GB.yml")
                continue
            record = self.files.record(name, "a country")
            found[code] = formats.country(code, record)
        if ANYWHERE not in found and self.files.there:
            self._complain(
                f"support/{ANYWHERE}.yml", "this file is missing: it helps parents whose country is not known"
            )
        return found

    def phrases(self) -> dict[str, Mapping[str, str]]:
        found: dict[str, Phrases] = {}
        for name in self.files.below("phrases"):
            language = name.removeprefix("phrases/").removesuffix(".po")
            if not LANGUAGE.fullmatch(language) or not name.endswith(".po"):
                self._complain(name, "a file here is called by its language, such as en.po or pt-BR.po")
                continue
            text = self.files.text(name)
            if text is not None:
                found[language] = phrases(self.files.place(name), text)
        for language in self.settings.languages:
            if f"phrases/{language}.po" not in self.files.data and self.files.there:
                self._complain(
                    f"phrases/{language}.po", f'this file is missing: settings.yml lists the language "{language}"'
                )
        main = found.get(self.main)
        if main is not None:
            complain_of_untranslated(main)
            for other in found.values():
                if other is not main:
                    compare(main, other)
        return {
            language: phrases.texts
            for language, phrases in found.items()
            if self._listed(language, f"phrases/{language}.po")
        }
