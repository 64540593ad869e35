"""What did the library look like at another revision?  Taken out of git into a folder of its own, or read from one."""

from __future__ import annotations

import io
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoSuchRevision(Exception):
    """One sentence that says why there is nothing to compare with, and how to mend it."""


@contextmanager
def folder_at(folder: Path, revision: str) -> Iterator[Path]:
    """The content folder as it was then; a path to another folder stands for itself.

    Raises:
        NoSuchRevision: git, the repository, the revision, or the folder in it is missing.
    """
    if Path(revision).is_dir():
        yield Path(revision)
        return
    if not folder.is_dir():
        raise NoSuchRevision(f"There is no content folder {folder}.")
    commit = _git(folder, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").decode().strip()
    # In a folder of the repository, git packs this folder alone.
    packed = _git(folder, "archive", "--format=zip", commit)
    with tempfile.TemporaryDirectory(prefix="nudgebot-content-") as place:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(place)
        if not (Path(place) / "bands.yml").exists():
            raise NoSuchRevision(f"At {revision}, {folder} was no content folder yet.")
        yield Path(place)


def _git(folder: Path, *words: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True).stdout
    except FileNotFoundError:
        raise NoSuchRevision(
            "git is not installed here. Install it, or give the path of a folder with the other version."
        ) from None
    except subprocess.CalledProcessError as error:
        raise NoSuchRevision(_why(folder, words, error.stderr.decode(errors="replace"))) from None


def _why(folder: Path, words: tuple[str, ...], told: str) -> str:
    revision = words[-1].removesuffix("^{commit}")
    if "not a git repository" in told:
        return f"{folder} is in no git repository. Give the path of a folder with the other version."
    if words[0] == "rev-parse" and ("Needed a single revision" in told or "unknown revision" in told):
        return f"git knows no revision {revision} here, and there is no folder of this name."
    if "untracked" in told or "did not match any" in told:
        return f"At {revision[:10]}, there was no {folder.name} folder."
    return f"git could not give revision {revision}: {told.strip().splitlines()[-1] if told.strip() else 'no reason'}."
