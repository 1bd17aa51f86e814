"""Entities: objects that a cache knows by their class and id, and how they belong to each other."""

from labkit.cache.entities.entities import Entities
from labkit.cache.entities.kinds import Kind
from labkit.cache.entities.parts import Parts
from labkit.cache.entities.relations import Many, One, Relation

__all__ = ["Entities", "Kind", "Many", "One", "Parts", "Relation"]
