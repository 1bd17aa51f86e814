"""A chatroom that loses nothing: what is said reaches everybody who listens, once and in order."""

from labkit.chat.aio import AsyncListener, AsyncRoom, AsyncRooms, AsyncVisit
from labkit.chat.buffer import Buffer, Policy
from labkit.chat.errors import ChatError, Closed, TooFast, TooSlow
from labkit.chat.listening import Listener
from labkit.chat.messages import Event, Gap, Happened, Joined, Left, Position, Said, Typing
from labkit.chat.room import Room, Rooms, Visit
from labkit.chat.settings import Settings

__all__ = [
    "AsyncListener",
    "AsyncRoom",
    "AsyncRooms",
    "AsyncVisit",
    "Buffer",
    "ChatError",
    "Closed",
    "Event",
    "Gap",
    "Happened",
    "Joined",
    "Left",
    "Listener",
    "Policy",
    "Position",
    "Room",
    "Rooms",
    "Said",
    "Settings",
    "TooFast",
    "TooSlow",
    "Typing",
    "Visit",
]
