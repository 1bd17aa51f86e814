"""A chatroom that loses nothing: what is said reaches everybody who listens, once and in order."""

from labkit.chat.aio import AsyncListener, AsyncRoom, AsyncRooms, AsyncVisit
from labkit.chat.buffer import Buffer, Policy
from labkit.chat.errors import ChatError, Closed, TooFast, TooSlow
from labkit.chat.groups import AsyncGroup, DeadLetter, Delivery, Group, Pending
from labkit.chat.listening import Listener
from labkit.chat.messages import Event, Gap, Happened, Joined, Left, Position, Said, Typing
from labkit.chat.plain import AsyncChannel, AsyncSubscription, Channel, Subscription
from labkit.chat.room import Room, Rooms, Visit
from labkit.chat.settings import Settings

__all__ = [
    "AsyncChannel",
    "AsyncGroup",
    "AsyncListener",
    "AsyncRoom",
    "AsyncRooms",
    "AsyncSubscription",
    "AsyncVisit",
    "Buffer",
    "Channel",
    "ChatError",
    "Closed",
    "DeadLetter",
    "Delivery",
    "Event",
    "Gap",
    "Group",
    "Happened",
    "Joined",
    "Left",
    "Listener",
    "Pending",
    "Policy",
    "Position",
    "Room",
    "Rooms",
    "Said",
    "Settings",
    "Subscription",
    "TooFast",
    "TooSlow",
    "Typing",
    "Visit",
]
