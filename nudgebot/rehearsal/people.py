"""How does a test hold a person by the hand?  `Person`: says, taps, waits for what the bot says next."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from nudgebot.rehearsal import acting, seeing
from nudgebot.rehearsal.world import Account, Chat, Json, World

PATIENCE = 20.0
"""Real seconds that a person waits for the bot unless told otherwise."""

Found = TypeVar("Found")
Tap = tuple[int, str, int]


class SilenceError(AssertionError):
    """The bot did not do what was waited for; the text shows the end of the chat."""


@dataclass(frozen=True)
class Seen:
    """A message as its reader sees it; see seeing.message_seen."""

    message_id: int
    from_bot: bool
    sender: str
    date: int
    text: str
    entities: list[Json]
    buttons: list[list[Json]]
    keyboard: Json | None
    edited: bool
    deleted: bool
    silent: bool
    protected: bool
    photo: Json | None
    document: Json | None
    location: Json | None
    reply_to: int | None
    preview: bool

    @property
    def labels(self) -> list[str]:
        """Inline buttons, row by row."""
        return [button["text"] for row in self.buttons for button in row]

    def data(self, label: str) -> str:
        """The callback data behind an inline button.  Raises KeyError."""
        for row in self.buttons:
            for button in row:
                if button["text"] == label:
                    return str(button["callback_data"])
        raise KeyError(f"{label!r} is not among {self.labels}")

    def url(self, label: str) -> str:
        """Where an inline link button leads.  Raises KeyError."""
        return next(str(b["url"]) for row in self.buttons for b in row if b["text"] == label and "url" in b)


_FIELDS = tuple(field.name for field in fields(Seen))


def seen(body: Json) -> Seen:
    return Seen(**{name: body[name] for name in _FIELDS})


@dataclass(frozen=True)
class View:
    """A chat at one moment."""

    messages: list[Seen]
    edits: list[int]
    toasts: list[Json]
    keyboard: Json | None
    typing: str | None

    @classmethod
    def of(cls, body: Json) -> View:
        messages = [seen(message) for message in body["messages"]]
        return cls(messages, list(body["edits"]), list(body["toasts"]), body["keyboard"], body["typing"])

    @property
    def from_bot(self) -> list[Seen]:
        return [message for message in self.messages if message.from_bot and not message.deleted]

    def get(self, message_id: int) -> Seen:
        return next(message for message in self.messages if message.message_id == message_id)

    def showing(self, label: str, tapped: Collection[Tap] = ()) -> Seen | None:
        """The newest message with an inline button of this label that was not tapped as it stands."""
        return next(
            (m for m in reversed(self.from_bot) if label in m.labels and self.tap(m.message_id, label) not in tapped),
            None,
        )

    def tap(self, message_id: int, label: str) -> Tap:
        """What tells one tap from the next: message, label, and how often the message was edited before."""
        return (message_id, label, self.edits.count(message_id))


class Person(ABC):
    """Acting means having read what was there: after `says` or `taps`, `next_message` is what comes from then on."""

    def __init__(self, id: int, first_name: str, chat_id: int | None = None) -> None:
        self.id = id
        self.first_name = first_name
        self.chat_id = chat_id or id
        self._read_message = 0
        self._read_edits = 0
        self._read_toasts = 0
        self._tapped: set[Tap] = set()

    @abstractmethod
    async def view(self) -> View:
        """The whole chat now."""

    @abstractmethod
    async def _perform(self, act: str, given: Json) -> Json: ...

    @abstractmethod
    async def _wait(self, seconds: float) -> None:
        """Return when something changed, or after that time."""

    async def _act(self, act: str, **given: Any) -> Json:
        self._catch_up(await self.view())
        if self.chat_id != self.id:
            given["chat_id"] = self.chat_id
        return await self._perform(act, given)

    def _catch_up(self, view: View) -> None:
        self._read_message = max((m.message_id for m in view.messages), default=0)
        self._read_edits, self._read_toasts = len(view.edits), len(view.toasts)

    async def says(self, text: str, reply_to: Seen | int | None = None) -> int:
        """Returns the id of the (last) message."""
        given: Json = {"text": text}
        if reply_to is not None:
            given["reply_to"] = reply_to if isinstance(reply_to, int) else reply_to.message_id
        return int((await self._act("text", **given))["message_ids"][-1])

    async def taps(self, label: str, message: Seen | int | None = None, timeout: float = PATIENCE) -> str:
        """Tap an inline button: on the given message, else on the newest that shows the label, waiting for one.

        Without `message`, a button is tapped once: the next `taps` of its label waits for another message or an edit.
        Returns the callback query's id.
        """
        if message is None:
            message = await self._until(lambda view: view.showing(label, self._tapped), f'a button "{label}"', timeout)
        number = message if isinstance(message, int) else message.message_id
        self._tapped.add((await self.view()).tap(number, label))
        return str((await self._act("tap", message_id=number, label=label))["callback_query_id"])

    async def forges_tap(self, data: str, message_id: int) -> str:
        """A tap that no button offered, as a changed app can send it."""
        return str((await self._act("tap", message_id=message_id, data=data, forge=True))["callback_query_id"])

    async def taps_long_after(self, label: str, message: Seen) -> str:
        """A tap whose message Telegram no longer hands over (InaccessibleMessage)."""
        given = {"message_id": message.message_id, "label": label, "inaccessible": True}
        return str((await self._act("tap", **given))["callback_query_id"])

    async def presses(self, label: str, timeout: float = PATIENCE) -> int:
        """A button of the reply keyboard, waiting for it to show."""

        def shows(view: View) -> bool | None:
            rows = (view.keyboard or {}).get("keyboard", [])
            return True if any(button["text"] == label for row in rows for button in row) else None

        await self._until(shows, f'a reply keyboard with "{label}"', timeout)
        return int((await self._act("press", label=label))["message_ids"][-1])

    async def sends_location(self, latitude: float, longitude: float) -> int:
        return int((await self._act("location", latitude=latitude, longitude=longitude))["message_ids"][0])

    async def sends_photo(self, caption: str = "") -> int:
        return int((await self._act("photo", caption=caption))["message_ids"][0])

    async def edits(self, message_id: int, text: str) -> None:
        await self._act("edit", message_id=message_id, text=text)

    async def blocks(self) -> None:
        await self._act("block")

    async def unblocks(self) -> None:
        await self._act("unblock")

    async def deactivates(self) -> None:
        await self._act("deactivate")

    async def next_message(self, timeout: float = PATIENCE) -> Seen:
        """The next message of the bot's that was not returned yet.  Raises SilenceError."""

        def unread(view: View) -> Seen | None:
            return next((m for m in view.from_bot if m.message_id > self._read_message), None)

        message = await self._until(unread, "a message", timeout)
        self._read_message = message.message_id
        return message

    async def next_edit(self, timeout: float = PATIENCE) -> Seen:
        """The next message that was edited, as it is now.  Raises SilenceError."""
        message = await self._until(
            lambda view: view.get(view.edits[self._read_edits]) if len(view.edits) > self._read_edits else None,
            "an edit", timeout,
        )  # fmt: skip
        self._read_edits += 1
        return message

    async def next_toast(self, timeout: float = PATIENCE) -> str:
        """The text of the next answer to a tap; empty when the bot only stopped the spinner.  Raises SilenceError."""
        toast = await self._until(
            lambda view: view.toasts[self._read_toasts] if len(view.toasts) > self._read_toasts else None,
            "an answer to a tap", timeout,
        )  # fmt: skip
        self._read_toasts += 1
        return str(toast["text"])

    async def sees(self, text: str, timeout: float = PATIENCE) -> Seen:
        """The newest message of the bot's that contains `text`, waiting for one.  Raises SilenceError."""
        return await self._until(
            lambda view: next((m for m in reversed(view.from_bot) if text in m.text), None), f'"{text}"', timeout
        )

    async def hears_nothing(self, for_seconds: float = 0.3) -> None:
        """Raises AssertionError when the bot writes within these real seconds."""
        try:
            message = await self.next_message(for_seconds)
        except SilenceError:
            return
        raise AssertionError(f'{self.first_name} expected silence, but the bot wrote: "{message.text}"')

    async def _until(self, look: Callable[[View], Found | None], what: str, timeout: float) -> Found:
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            view = await self.view()
            found = look(view)
            if found is not None:
                return found
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise SilenceError(self._complaint(view, what, timeout))
            await self._wait(left)

    def _complaint(self, view: View, what: str, timeout: float) -> str:
        lines = [f"  {m.sender}: {m.text!r} {m.labels or ''}" for m in view.messages[-5:]]
        return "\n".join([f"{self.first_name} waited {timeout} s for {what}; the end of the chat:", *lines])


class LocalPerson(Person):
    """A person in a stand-in of this process: `chat` can be read at any time."""

    def __init__(self, world: World, account: Account, chat: Chat | None = None) -> None:
        self._world = world
        self._account = account
        self._place = chat or world.private_chat(account)
        super().__init__(account.id, account.first_name, self._place.id)

    @property
    def chat(self) -> list[Seen]:
        """Every message, deleted ones too."""
        return self._view().messages

    @property
    def last(self) -> Seen:
        """The bot's newest message that is still there."""
        return self._view().from_bot[-1]

    def in_group(self, group: Chat) -> LocalPerson:
        """The same person, speaking and reading in a group."""
        return LocalPerson(self._world, self._account, group)

    async def view(self) -> View:
        return self._view()

    def _view(self) -> View:
        return View.of(seeing.chat_seen(self._world, self._place))

    async def _perform(self, act: str, given: Json) -> Json:
        return acting.perform(self._world, self._account, act, given)

    async def _wait(self, seconds: float) -> None:
        await self._place.bell.wait(seconds)
