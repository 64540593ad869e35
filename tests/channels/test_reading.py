"""How what somebody typed in the app becomes the marks that the team's texts are written in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import Chat, Document, Message, MessageEntity, PhotoSize, Voice

from nudgebot.channels.telegram.reading import attached, written
from nudgebot.programme.broadcast import Attachment, problems, read_words

CHAT, NOON = Chat(1, "private"), datetime(2026, 11, 22, 12, tzinfo=UTC)


def message(text: str | None = None, entities: tuple[tuple[str, str], ...] = (), **given: object) -> Message:
    """`entities` name a kind and the words it covers; a link's address stands behind a bar."""
    found = []
    for kind, covered in entities:
        words, _, url = covered.partition("|")
        start = len((text or "").partition(words)[0].encode("utf-16-le")) // 2
        length = len(words.encode("utf-16-le")) // 2
        found.append(MessageEntity(kind, start, length, url=url or None))
    return Message(1, NOON, CHAT, text=text, entities=found, **given)


@pytest.mark.parametrize(
    ("text", "entities", "reads"),
    [
        ("Free milk", (), "Free milk"),
        ("Free milk 🥛 on Friday", (("bold", "milk 🥛"),), "Free **milk 🥛** on Friday"),
        ("😀 Free milk", (("bold", "Free "),), "😀 **Free** milk"),
        ("Free milk", (("italic", "Free"), ("underline", "milk")), "Free milk"),
        ("Hello\nBook a place", (("text_link", "Book a place|https://b.example/"),), "Hello\n[Book a place](https://b.example/)"),
        (
            "Hello\nBook a place",
            (("bold", "Book a place"), ("text_link", "Book a place|https://b.example/")),
            "Hello\n[Book a place](https://b.example/)",
        ),
        ("See this page now", (("text_link", "this page|https://a.example/"),), "See this page (https://a.example/) now"),
        ("Hello   you", (("bold", "   "),), "Hello   you"),
    ],
)  # fmt: skip
def test_bold_and_links_are_kept_and_nothing_else(text, entities, reads):
    assert written(message(text, entities)) == reads


@given(
    st.text("ab* \n😀é", min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), max_size=4),
)
def test_no_word_is_lost_whatever_is_bold(text, spans):
    length = len(text.encode("utf-16-le")) // 2
    bold = [MessageEntity("bold", start, min(size, length - start)) for start, size in spans if start < length]
    whole = [
        one
        for one in bold
        if all(
            "�" not in text.encode("utf-16-le")[: 2 * edge].decode("utf-16-le", errors="replace")
            for edge in (one.offset, one.offset + one.length)
        )
    ]
    marked = written(Message(1, NOON, CHAT, text=text, entities=whole))
    assert marked.replace("*", "") == text.replace("*", "")
    if not problems(read_words(text)) and not whole:
        assert not problems(read_words(marked))


def test_a_photo_in_its_largest_form_or_a_document_and_nothing_else_can_go_along():
    small, large = PhotoSize("s", "s", 90, 60, file_size=900), PhotoSize("l", "l", 900, 600, file_size=90_000)
    assert attached(message(photo=[small, large], caption="x")) == Attachment("photo", "l", 90_000)
    assert attached(message(document=Document("d", "d", file_size=7), caption="x")) == Attachment("document", "d", 7)
    assert attached(message(voice=Voice("v", "v", 3), caption="x")) == Attachment("other", "")
    assert attached(message("Hello")) is None
