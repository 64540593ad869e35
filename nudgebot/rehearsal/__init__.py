"""The stand-in: a faithful Telegram Bot API server on this machine, with people to play; it knows no bot."""

from nudgebot.rehearsal.limits import Limits
from nudgebot.rehearsal.people import LocalPerson, Person, Seen, SilenceError
from nudgebot.rehearsal.remote import RemotePerson, RemoteStandIn, StandInProcess
from nudgebot.rehearsal.server import TOKEN, StandIn
from nudgebot.rehearsal.world import WorldError

__all__ = [
    "TOKEN",
    "Limits",
    "LocalPerson",
    "Person",
    "RemotePerson",
    "RemoteStandIn",
    "Seen",
    "SilenceError",
    "StandIn",
    "StandInProcess",
    "WorldError",
]
