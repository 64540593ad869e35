"""Markup becomes text and entities, or is refused with the place of the fault."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudgebot.rehearsal.errors import ApiError
from nudgebot.rehearsal.formatting import formatted, units


def parsed(text: str, mode: str) -> tuple[str, list[tuple]]:
    plain, entities = formatted(text, mode, None)
    return plain, [(e["type"], e["offset"], e["length"]) for e in entities]


@pytest.mark.parametrize(
    ("source", "plain", "entities"),
    [
        ("<b>a</b> <i>b</i> <u>c</u> <s>d</s>", "a b c d",
         [("bold", 0, 1), ("italic", 2, 1), ("underline", 4, 1), ("strikethrough", 6, 1)]),
        ("<b>a <i>b</i></b>", "a b", [("bold", 0, 3), ("italic", 2, 1)]),
        ("🌱 <strong>x</strong>", "🌱 x", [("bold", 3, 1)]),
        ("1 &lt; 2 &amp; 3 &gt; 2 &quot;&#65;&#x42;&nbsp;", '1 < 2 & 3 > 2 "AB&nbsp;', []),
        ('<a href="https://x.org/?a=1&amp;b=2">x</a>', "x", [("text_link", 0, 1)]),
        ("<pre><code class=\"language-python\">x</code></pre>", "x", [("pre", 0, 1)]),
        ("<tg-spoiler>x</tg-spoiler><span class='tg-spoiler'>y</span>", "xy", [("spoiler", 0, 1), ("spoiler", 1, 1)]),
        ("<blockquote expandable>x</blockquote>", "x", [("expandable_blockquote", 0, 1)]),
        ("  <b> a</b>\n", "a", [("bold", 0, 1)]),
        ("<b></b>a", "a", []),
    ],
)  # fmt: skip
def test_html_becomes_entities(source: str, plain: str, entities: list) -> None:
    assert parsed(source, "HTML") == (plain, entities)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a <b>b", 'Can\'t find end tag corresponding to start tag "b"'),
        ("ä </b>", "Unexpected end tag at byte offset 3"),
        ("<b>a</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("a<br>b", 'Unsupported start tag "br" at byte offset 1'),
        ("2 < 3", 'Unsupported start tag "" at byte offset 2'),
        ("<span>a</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<b", "Unclosed start tag at byte offset 0"),
    ],
)
def test_broken_html_is_refused_with_its_place(source: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        formatted(source, "html", None)
    assert refused.value.description == f"Bad Request: can't parse entities: {words}"


@pytest.mark.parametrize(
    ("source", "plain", "entities"),
    [
        ("*a* _b_ __c__ ~d~ ||e||", "a b c d e",
         [("bold", 0, 1), ("italic", 2, 1), ("underline", 4, 1), ("strikethrough", 6, 1), ("spoiler", 8, 1)]),
        ("*a _b_*", "a b", [("bold", 0, 3), ("italic", 2, 1)]),
        (r"1\.5 \- \!", "1.5 - !", []),
        ("[x](https://x.org/)", "x", [("text_link", 0, 1)]),
        ("`a.b`", "a.b", [("code", 0, 3)]),
        ("```python\nx=1```", "x=1", [("pre", 0, 3)]),
        (">quoted\nplain", "quoted\nplain", [("blockquote", 0, 6)]),
    ],
)  # fmt: skip
def test_markdown_v2_becomes_entities(source: str, plain: str, entities: list) -> None:
    assert parsed(source, "MarkdownV2") == (plain, entities)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("Hello.", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("*a", "Can't find end of Bold entity at byte offset 0"),
        ("ä `a", "Can't find end of Code entity at byte offset 3"),
    ],
)
def test_unescaped_markdown_v2_is_refused(source: str, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        formatted(source, "MarkdownV2", None)
    assert refused.value.description == f"Bad Request: can't parse entities: {words}"


def test_the_old_markdown_knows_bold_italic_code_and_links() -> None:
    assert parsed("*a* _b_ `c` [d](https://x.org)", "Markdown") == (
        "a b c d", [("bold", 0, 1), ("italic", 2, 1), ("code", 4, 1), ("text_link", 6, 1)],
    )  # fmt: skip
    with pytest.raises(ApiError, match="Can't find end of the entity starting at byte offset 0"):
        formatted("*a", "Markdown", None)


def test_commands_links_and_mentions_are_found_by_themselves() -> None:
    assert parsed("/help or https://x.org. @duty_team", "") == (
        "/help or https://x.org. @duty_team", [("bot_command", 0, 5), ("url", 9, 13), ("mention", 24, 10)],
    )  # fmt: skip
    assert parsed("call 999/112 or a/b", "")[1] == []


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_escaped_text_comes_through_html_unchanged(text: str) -> None:
    assert formatted(html.escape(text, quote=False), "HTML", None)[0] == text.strip()


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.text("ab🌱ü", max_size=5))
def test_an_entity_covers_its_text_whatever_stands_before(inside: str, before: str) -> None:
    text, entities = formatted(f"{before}<b>{html.escape(inside, quote=False)}</b>", "HTML", None)
    bold = [e for e in entities if e["type"] == "bold"]
    encoded = text.encode("utf-16-le")
    for entity in bold:
        covered = encoded[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le")
        assert covered.strip() == inside.strip()
    assert bool(bold) == bool(inside.strip())


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_length_is_counted_in_utf16_units(text: str) -> None:
    assert units(text) == sum(2 if ord(character) > 0xFFFF else 1 for character in text)
