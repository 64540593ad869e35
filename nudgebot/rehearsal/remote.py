"""How is a stand-in in another process driven?  `RemoteStandIn(url)` over HTTP; `StandInProcess` starts one, too."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from nudgebot.rehearsal.people import Person, View
from nudgebot.rehearsal.world import Json, WorldError

START_SECONDS = 20.0


class RemotePerson(Person):
    """A person in a stand-in elsewhere; `view()` reads the chat."""

    def __init__(self, standin: RemoteStandIn, id: int, first_name: str, chat_id: int | None = None) -> None:
        super().__init__(id, first_name, chat_id)
        self._standin = standin
        self._last_change = 0

    def in_group(self, chat_id: int) -> RemotePerson:
        return RemotePerson(self._standin, self.id, self.first_name, chat_id)

    async def view(self) -> View:
        kind = "people" if self.chat_id > 0 else "groups"
        body = await self._standin.call("GET", f"{kind}/{self.chat_id}/chat")
        self._last_change = body["last_event"]
        return View.of(body)

    async def _perform(self, act: str, given: Json) -> Json:
        body: Json = await self._standin.call("POST", f"people/{self.id}/{act}", given)
        return body

    async def _wait(self, seconds: float) -> None:
        await self._standin.call("GET", f"changes?after={self._last_change}&wait={seconds:.3f}")


class RemoteStandIn:
    """The control side over HTTP, with the names of StandIn.  Refusals are WorldErrors with the stand-in's sentence."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def call(self, verb: str, path: str, given: Json | None = None) -> Any:
        """One request below /control."""
        if self._http is None:
            raise WorldError("Open the remote stand-in first: async with RemoteStandIn(url) as standin.")
        data = None if given is None else orjson.dumps(given)
        async with self._http.request(verb, f"{self.url}/control/{path}", data=data) as answer:
            body = orjson.loads(await answer.read())
            if answer.status >= 400:
                raise WorldError(body["error"])
            return body

    async def person(self, first_name: str, language_code: str | None = "en", id: int | None = None) -> RemotePerson:
        given = {"first_name": first_name, "language_code": language_code, "id": id}
        body = await self.call("POST", "people", given)
        return RemotePerson(self, body["id"], first_name)

    async def crowd(self, count: int, first_id: int = 10_000_000) -> range:
        await self.call("POST", "crowd", {"count": count, "first_id": first_id})
        return range(first_id, first_id + count)

    async def group(self, title: str, members: list[RemotePerson], type: str = "supergroup") -> int:
        """Returns the group's chat id."""
        given = {"title": title, "members": [member.id for member in members], "type": type}
        return int((await self.call("POST", "groups", given))["chat_id"])

    async def journal(self, after: int = 0) -> list[Json]:
        entries: list[Json] = (await self.call("GET", f"journal?after={after}"))["entries"]
        return entries

    async def pending_updates(self) -> list[Json]:
        pending: list[Json] = (await self.call("GET", "updates"))["pending"]
        return pending

    async def clock(self, **given: Any) -> Json:
        """Read the clock, or move it: now, advance_seconds, frozen."""
        body: Json = await self.call("POST", "clock", given) if given else await self.call("GET", "clock")
        return body

    async def fault(self, kind: str, method: str | None = None, times: int | None = 1, **more: Any) -> None:
        await self.call("POST", "faults", {"kind": kind, "method": method, "times": times, **more})

    async def clear_faults(self) -> None:
        await self.call("DELETE", "faults")

    async def network_down(self, seconds: float) -> None:
        await self.call("POST", "network", {"down_seconds": seconds})


class StandInProcess(RemoteStandIn):
    """A stand-in in a process of its own, which outlives the bot it serves; ended on leaving the block."""

    def __init__(self, *, journal: Path | None = None, rate: int | None = None, latency: float = 0.0) -> None:
        """`rate` None = no limits."""
        super().__init__("")
        self._command = [sys.executable, "-m", "nudgebot.rehearsal", "--port", "0", "--latency", str(latency)]
        self._command += ["--no-limits"] if rate is None else ["--rate", str(rate)]
        self._command += ["--journal", str(journal)] if journal else []
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(*self._command, stdout=asyncio.subprocess.PIPE)
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            self.url = (await self.process.stdout.readline()).decode().strip()
        if not self.url:
            raise WorldError("The stand-in's process ended before it said where it listens.")
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, problem, trace)
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process is not None:
            await self.process.wait()
