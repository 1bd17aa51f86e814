import base64
import dataclasses
import datetime
import json
import pickle
import types
import typing
import zlib

import msgspec

from tests.cases import right, wrong


def shape(kind, *, deep=True, named=True, types_too=True):
    """A type in words; without `deep` classes inside are told by their names."""

    def of(each, top):
        if dataclasses.is_dataclass(each) and (top or deep):
            hints = typing.get_type_hints(each)
            inside = [
                f"{field.name}: {of(hints[field.name], False)}" if types_too else field.name
                for field in dataclasses.fields(each)
            ]
            return f"{each.__name__ if named else ''}({', '.join(inside)})"
        origin = typing.get_origin(each) or each
        inside = ", ".join(of(arg, False) for arg in typing.get_args(each))
        return f"{getattr(origin, '__name__', origin)}[{inside}]"

    return of(kind, True)


def made(cls, version, *, errors=(msgspec.MsgspecError, ValueError)):
    """An answer with this version."""
    decoder = msgspec.json.Decoder(tuple[typing.Any, cls])

    def pack(entity):
        return msgspec.json.encode((version, entity)).decode()

    def unpack(text):
        try:
            found, entity = decoder.decode(text)
        except errors:
            return None
        return entity if found == version else None

    return pack, unpack


# -- by hand, with json and dataclasses


def dump(value):
    if dataclasses.is_dataclass(value):
        return {f.name: dump(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return [dump(each) for each in value] if isinstance(value, list | tuple) else value


def build(kind, data):
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return build(next(each for each in args if each is not type(None)), data)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if type(data) is not dict or set(data) != set(hints):
            raise ValueError(kind)
        return kind(**{name: build(hints[name], data[name]) for name in hints})
    if kind is datetime.datetime and type(data) is str:
        return datetime.datetime.fromisoformat(data)
    if origin in (list, tuple):
        if type(data) is not list:
            raise ValueError(kind)
        if origin is list or Ellipsis in args:
            args = (args[0],) * len(data)
        if len(args) != len(data):
            raise ValueError(kind)
        return origin(map(build, args, data))
    if type(data) is not kind:
        raise ValueError(kind)
    return data


def by_hand(cls, build=build, dump=dump):
    version = zlib.crc32(shape(cls).encode())

    def pack(entity):
        return json.dumps({"version": version, "entity": dump(entity)})

    def unpack(text):
        try:
            found = json.loads(text)
            if found["version"] != version:
                return None
            return build(cls, found["entity"])
        except (ValueError, TypeError, KeyError):
            return None

    return pack, unpack


@right
def msgspec_with_its_shape(cls):
    return made(cls, shape(cls))


@right
def json_by_hand(cls):
    return by_hand(cls)


@right
def a_list_and_a_sum(cls):
    pack, unpack = made(cls, zlib.crc32(shape(cls).encode()))
    return [pack, unpack]


@wrong(says="the field")
def no_version(cls):
    return made(cls, 0)


@wrong(says="the field")
def the_name_of_the_class_for_a_version(cls):
    return made(cls, cls.__name__)


@wrong(says="Put a version into the text that is made of the names and the types of all fields")
def names_without_types(cls):
    return made(cls, shape(cls, types_too=False))


@wrong(says="as before, and in Author the field")
def looks_at_the_outer_class_alone(cls):
    return made(cls, shape(cls, deep=False))


@wrong(says="as before, and in Author the field")
def types_as_they_are_printed(cls):
    return made(cls, str([(f.name, str(f.type)) for f in dataclasses.fields(cls)]))


@wrong(says="Put the name of the class into the version too")
def forgets_the_name_of_the_class(cls):
    return made(cls, shape(cls, named=False))


@wrong(says="A text's `hash()` and an object's `id()` differ")
def the_hash_of_a_text(cls):
    return made(cls, hash(shape(cls)))


@wrong(says="another process with the same class")
def the_id_of_the_class(cls):
    return made(cls, id(cls))


@wrong(says="What cannot be read is a miss, and no error: answer None")
def lets_errors_out(cls):
    return made(cls, shape(cls), errors=())


@wrong(says="What cannot be read is a miss, and no error: answer None")
def catches_errors_of_types_only(cls):
    return made(cls, shape(cls), errors=(msgspec.ValidationError, TypeError))


@wrong(says="a value of another type than its field's")
def checks_no_types(cls):
    def trusting(kind, data):
        if type(kind) is type and not dataclasses.is_dataclass(kind) and kind is not TIME:
            return data
        if dataclasses.is_dataclass(kind):
            hints = typing.get_type_hints(kind)
            return kind(**{name: trusting(hints[name], data[name]) for name in hints})
        origin, args = typing.get_origin(kind), typing.get_args(kind)
        if origin in (list, tuple):
            if origin is list or Ellipsis in args:
                args = (args[0],) * len(data)
            return origin(map(trusting, args, data))
        if origin in (typing.Union, types.UnionType):
            return None if data is None else trusting(args[0], data)
        return TIME.fromisoformat(data)

    return by_hand(cls, build=trusting)


TIME = datetime.datetime


@wrong(says="(list); expected")
def forgets_that_json_has_no_tuples(cls):
    def without_tuples(kind, data):
        if typing.get_origin(kind) is tuple:
            return [*build(kind, data)]
        return build(kind, data)

    def fields(kind, data):
        if not dataclasses.is_dataclass(kind):
            return without_tuples(kind, data)
        hints = typing.get_type_hints(kind)
        return kind(**{name: fields(hints[name], data[name]) for name in hints})

    return by_hand(cls, build=fields)


@wrong(says="is not JSON serializable")
def forgets_that_json_has_no_times(cls):
    return by_hand(cls, dump=dataclasses.asdict)


@wrong(says="(str); expected datetime")
def takes_what_json_answers_as_it_is(cls):
    return by_hand(cls, build=lambda kind, data: kind(**data))


@wrong(says="2026-11-27T08:00:00+00:00")
def takes_every_text_that_looks_like_it_for_a_time(cls):
    def guessing(kind, data):
        entity = build(kind, data)
        for field in dataclasses.fields(entity):
            value = getattr(entity, field.name)
            try:
                object.__setattr__(entity, field.name, TIME.fromisoformat(value))
            except (TypeError, ValueError):
                continue
        return entity

    return by_hand(cls, build=guessing)


@wrong(says="`pickle.loads` runs whatever a text tells it to")
def pickles(cls):
    version = shape(cls)

    def pack(entity):
        return base64.b64encode(pickle.dumps((version, entity))).decode()

    def unpack(text):
        try:
            found, entity = pickle.loads(base64.b64decode(text))
        except Exception:
            return None
        return entity if found == version else None

    return pack, unpack


@wrong(says="`unpack` calls `eval`")
def evaluates_what_repr_has_written(cls):
    version = shape(cls)

    def classes(kind):
        found = {kind.__name__: kind} if dataclasses.is_dataclass(kind) else {}
        inside = typing.get_args(kind)
        if found:
            inside = [field.type for field in dataclasses.fields(kind)]
        for each in inside:
            found |= classes(each)
        return found

    def pack(entity):
        return repr((version, entity))

    def unpack(text):
        try:
            found, entity = eval(text, {"datetime": datetime} | classes(cls))
        except Exception:
            return None
        return entity if found == version and type(entity) is cls else None

    return pack, unpack


@wrong(says="of the type bytes; expected a str")
def packs_bytes(cls):
    pack, unpack = made(cls, shape(cls))
    return lambda entity: pack(entity).encode(), unpack


@wrong(says="expected two functions")
def packs_only(cls):
    return made(cls, shape(cls))[0]


def with_inner_names_left_out(kind, top=True):
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind).items()
        inside = [f"{name}: {with_inner_names_left_out(each, False)}" for name, each in hints]
        return f"{kind.__name__ if top else ''}({', '.join(inside)})"
    origin = typing.get_origin(kind) or kind
    inside = [with_inner_names_left_out(each, False) for each in typing.get_args(kind)]
    return f"{getattr(origin, '__name__', origin)}[{', '.join(inside)}]"


@wrong(says="of a class with the same fields")
def names_the_outer_class_alone(cls):
    return made(cls, with_inner_names_left_out(cls))


def with_each_type_once(kind):
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind).items()
        inside = [f"{name}: {with_each_type_once(each)}" for name, each in hints]
        return f"{kind.__name__}({', '.join(inside)})"
    origin = typing.get_origin(kind) or kind
    inside = {with_each_type_once(each): None for each in typing.get_args(kind)}
    inside.pop("Ellipsis[]", None)
    return f"{getattr(origin, '__name__', origin)}[{', '.join(inside)}]"


@wrong(says="turned into `ids: tuple[int, int]`")
def takes_a_pair_for_a_tuple_of_any_length(cls):
    return made(cls, with_each_type_once(cls))


def build_inside(kind, data):
    """Looks at the types of the fields, and not at what is inside a list or a tuple."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is list and type(data) is list and args[0] in (int, str):
        return data
    if dataclasses.is_dataclass(kind) and type(data) is dict:
        hints = typing.get_type_hints(kind)
        return kind(**{name: build_inside(hints[name], data[name]) for name in hints})
    return build(kind, data)


@wrong(says="within the field `ids: list[int]`")
def checks_no_types_inside_a_list(cls):
    return by_hand(cls, build=build_inside)


def build_inner_classes_as_they_are(kind, data, top=True):
    args = [each for each in typing.get_args(kind) if dataclasses.is_dataclass(each)]
    inner = args[0] if args else kind
    if dataclasses.is_dataclass(inner) and type(data) is dict and not top:
        hints = typing.get_type_hints(inner)
        simple = all(each in (int, str) for each in hints.values())
        return inner(**data) if simple and set(data) == set(hints) else build(kind, data)
    if dataclasses.is_dataclass(kind) and type(data) is dict:
        hints = typing.get_type_hints(kind)
        if set(data) != set(hints):
            raise ValueError(kind)
        fields = {n: build_inner_classes_as_they_are(hints[n], data[n], False) for n in hints}
        return kind(**fields)
    return build(kind, data)


@wrong(says="within the field `by: Author | None`")
def checks_no_types_inside_a_class(cls):
    return by_hand(cls, build=build_inner_classes_as_they_are)
