"""Whatever happens to a content file, does the loader load it or say what is wrong, and never fall over?"""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nudgebot.library.loader import load
from nudgebot.library.problems import LibraryBroken, Problem

from .conftest import FILES, ContentFolder

NAMES = sorted(FILES)
PIECES = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"", b"---\n", b"**Today:**", b": ", b"- ", b"[", b"]", b"{", b"}", b'"', b"\n", b"\t", b"&a ", b"*a", b"<<: ",
         b"null", b"~", b"9" * 5000, b"-1", b"0:0", b"2026-99-99", b"\\", b"{x!r:>9}", b"msgid", b"#~ ", b"\\x", b"? "]
    ),
)  # fmt: skip


@st.composite
def changed_files(draw: st.DrawFn) -> tuple[str, bytes]:
    name = draw(st.sampled_from(NAMES))
    data = FILES[name].removeprefix("\n").encode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 30)))
        data = data[:start] + draw(PIECES) + data[end:]
    return name, data


def complaints(folder: Path) -> list[Problem]:
    try:
        load(folder)
    except LibraryBroken as broken:
        return broken.problems
    return []


def loads_or_complains(folder: Path) -> None:
    for problem in complaints(folder):
        text = (folder / problem.file).read_bytes() if problem.line else b""
        assert problem.says
        assert 0 <= problem.line <= len(text.decode(errors="replace").splitlines()) + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ContentFolder:
    return ContentFolder(tmp_path_factory.mktemp("any") / "content")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=changed_files())
def test_a_file_changed_at_will_loads_or_is_complained_about(folder, change):
    name, data = change
    good = (folder.path / name).read_bytes()
    try:
        (folder.path / name).write_bytes(data)
        loads_or_complains(folder.path)
    finally:
        (folder.path / name).write_bytes(good)


@settings(max_examples=50, deadline=None)
@given(name=st.sampled_from(NAMES), data=st.binary(max_size=200))
def test_a_file_of_any_bytes_is_complained_about(folder, name, data):
    good = (folder.path / name).read_bytes()
    try:
        (folder.path / name).write_bytes(data)
        loads_or_complains(folder.path)
    finally:
        (folder.path / name).write_bytes(good)


@settings(max_examples=50, deadline=None)
@given(
    where=st.sampled_from(["tips/i1", "tips/i1/x", "tips", "cards", "check_ins", "support", "phrases", "style", "."]),
    name=st.text(string.printable + "é\udcff", min_size=1, max_size=30).filter(
        lambda name: "/" not in name and "\x00" not in name and name not in {".", ".."} and name not in FILES
    ),
)
def test_a_file_of_any_name_is_read_or_complained_about(folder, where, name):
    path = folder.path / where / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"---\n---\n")
    try:
        loads_or_complains(folder.path)
    finally:
        path.unlink()
