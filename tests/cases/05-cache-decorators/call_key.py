import base64
import hashlib
import json
import pickle
import uuid

from tests.cases import right, wrong


def start(namespace, version, function):
    return f"{namespace}:v{version}:{function.__module__}.{function.__qualname__}:"


def bounded(beginning, call):
    if len(beginning) + len(call) > 200:
        call = hashlib.sha256(call.encode()).hexdigest()
    return beginning + call


@right
def repr_or_its_digest(namespace, version, function, args, kwargs):
    return bounded(start(namespace, version, function), repr((args, sorted(kwargs.items()))))


@right
def always_a_digest_of_json(namespace, version, function, args, kwargs):
    text = json.dumps([args, kwargs], sort_keys=True)
    return start(namespace, version, function) + hashlib.sha256(text.encode()).hexdigest()


@right
def json_and_blake2b(namespace, version, function, args, kwargs):
    call = json.dumps({"args": args, "kwargs": dict(sorted(kwargs.items()))})
    if len(call) > 80:
        call = hashlib.blake2b(call.encode(), digest_size=16).hexdigest()
    return start(namespace, version, function) + call


@right
def every_argument_with_its_type_and_length(namespace, version, function, args, kwargs):
    parts = [*args, "|", *(part for name in sorted(kwargs) for part in (name, kwargs[name]))]
    texts = [(type(part).__name__, str(part)) for part in parts]
    call = "".join(f"{kind}{len(text)}:{text}" for kind, text in [*texts, ("args", str(len(args)))])
    return bounded(start(namespace, version, function), call)


@right
def a_name_for_each_type(namespace, version, function, args, kwargs):
    kinds = {str: "s", int: "i", float: "f", bool: "b", type(None): "n"}

    def write(value):
        text = base64.b64encode(str(value).encode()).decode()
        return kinds[type(value)] + text

    call = ",".join(map(write, args)) + ";"
    call += ",".join(f"{name}={write(kwargs[name])}" for name in sorted(kwargs))
    return bounded(start(namespace, version, function), call)


@right
def a_named_uuid(namespace, version, function, args, kwargs):
    call = uuid.uuid5(uuid.NAMESPACE_OID, repr((args, sorted(kwargs.items()))))
    return f"{start(namespace, version, function)}{call}"


@wrong(says="Python's `hash` of a text differs from process to process")
def the_hash_of_the_arguments(namespace, version, function, args, kwargs):
    call = hash((args, tuple((type(arg), arg) for arg in args), tuple(sorted(kwargs.items()))))
    return f"{start(namespace, version, function)}{call}"


@wrong(says="Python's `hash` of a text differs from process to process")
def the_hash_of_the_repr(namespace, version, function, args, kwargs):
    return f"{start(namespace, version, function)}{hash(repr((args, sorted(kwargs.items()))))}"


@wrong(says="Python's `hash` of a text differs from process to process")
def hash_where_it_is_long(namespace, version, function, args, kwargs):
    call = repr((args, sorted(kwargs.items())))
    if len(call) > 100:
        call = f"{hash(call):x}"
    return start(namespace, version, function) + call


@wrong(says="a key must not depend on which object it is, as `id` and `pickle` do")
def identities(namespace, version, function, args, kwargs):
    call = [*map(id, args), *((name, id(kwargs[name])) for name in sorted(kwargs))]
    return start(namespace, version, function) + str(call)


@wrong(says="a key must not depend on which object it is, as `id` and `pickle` do")
def a_digest_of_pickle(namespace, version, function, args, kwargs):
    text = pickle.dumps((args, sorted(kwargs.items())))
    return start(namespace, version, function) + hashlib.sha256(text).hexdigest()


@wrong(says="neither time nor chance belongs in it")
def a_random_uuid(namespace, version, function, args, kwargs):
    return start(namespace, version, function) + uuid.uuid4().hex


@wrong(says="Sort the keyword arguments")
def keywords_as_they_come(namespace, version, function, args, kwargs):
    return bounded(start(namespace, version, function), repr((args, kwargs)))


@wrong(says="article(1) and article('1') have the same key")
def joined_with_str(namespace, version, function, args, kwargs):
    parts = [*map(str, args), *(f"{name}={kwargs[name]}" for name in sorted(kwargs))]
    return bounded(start(namespace, version, function), ",".join(parts))


@wrong(says="article(1) and article('1') have the same key")
def a_digest_of_what_str_makes(namespace, version, function, args, kwargs):
    text = "\x00".join([*map(str, args), *(f"{name}={kwargs[name]}" for name in sorted(kwargs))])
    return start(namespace, version, function) + hashlib.sha256(text.encode()).hexdigest()


@wrong(says="have the same key")
def types_without_borders(namespace, version, function, args, kwargs):
    def write(value):
        return f"{type(value).__name__}:{value}"

    parts = [*map(write, args), *(f"{name}={write(kwargs[name])}" for name in sorted(kwargs))]
    return bounded(start(namespace, version, function), "|".join(parts))


@wrong(says="have the same key")
def quotes_that_are_not_escaped(namespace, version, function, args, kwargs):
    def write(value):
        return f"'{value}'" if isinstance(value, str) else str(value)

    parts = [*map(write, args), *(f"{name}={write(kwargs[name])}" for name in sorted(kwargs))]
    return bounded(start(namespace, version, function), ", ".join(parts))


@wrong(says="have the same key")
def types_of_the_positional_only(namespace, version, function, args, kwargs):
    pairs = [(name, str(kwargs[name])) for name in sorted(kwargs)]
    return bounded(start(namespace, version, function), repr((args, pairs)))


@wrong(says="article(1, 2) and article(12) have the same key")
def nothing_between(namespace, version, function, args, kwargs):
    call = "".join(map(repr, args)) + "".join(f"{k}={kwargs[k]!r}" for k in sorted(kwargs))
    return bounded(start(namespace, version, function), call)


@wrong(says="have the same key")
def values_of_the_keywords_only(namespace, version, function, args, kwargs):
    call = repr((args, [kwargs[name] for name in sorted(kwargs)]))
    return bounded(start(namespace, version, function), call)


@wrong(says="have the same key")
def keywords_among_the_positional(namespace, version, function, args, kwargs):
    call = repr([*args, *(f"{name}={kwargs[name]}" for name in sorted(kwargs))])
    return bounded(start(namespace, version, function), call)


@wrong(says="have the same key")
def forgets_the_keywords(namespace, version, function, args, kwargs):
    return bounded(start(namespace, version, function), repr(args))


@wrong(says="one caller gets the other's value")
def one_and_true(namespace, version, function, args, kwargs):
    seen = [int(arg) if isinstance(arg, bool) else arg for arg in args]
    call = repr((seen, sorted(kwargs.items())))
    return bounded(start(namespace, version, function), call)


@wrong(says="have the same key")
def the_positional_in_any_order(namespace, version, function, args, kwargs):
    call = repr((sorted(args, key=repr), sorted(kwargs.items())))
    return bounded(start(namespace, version, function), call)


@wrong(says="have the same key")
def each_argument_once(namespace, version, function, args, kwargs):
    call = repr((sorted({repr(arg): arg for arg in args}), sorted(kwargs.items())))
    return bounded(start(namespace, version, function), call)


@wrong(says="have the same key")
def cut_at_200(namespace, version, function, args, kwargs):
    call = repr((args, sorted(kwargs.items())))
    return (start(namespace, version, function) + call)[:200]


@wrong(says="characters has a key of")
def any_length(namespace, version, function, args, kwargs):
    return start(namespace, version, function) + repr((args, sorted(kwargs.items())))


@wrong(says="When the whole key is too long")
def measures_the_arguments_only(namespace, version, function, args, kwargs):
    call = repr((args, sorted(kwargs.items())))
    if len(call) > 200:
        call = hashlib.sha256(call.encode()).hexdigest()
    return start(namespace, version, function) + call


@wrong(says="a digest has to stand for the keywords too")
def a_digest_of_the_positional_only(namespace, version, function, args, kwargs):
    shown = repr(args) if len(repr(args)) < 60 else hashlib.sha256(repr(args).encode()).hexdigest()
    return f"{start(namespace, version, function)}{shown}{sorted(kwargs.items())}"


@wrong(says="and `Desk.article` its `__qualname__`")
def the_name_without_its_class(namespace, version, function, args, kwargs):
    call = repr((args, sorted(kwargs.items())))
    return bounded(f"{namespace}:v{version}:{function.__module__}.{function.__name__}:", call)


@wrong(says="expected it to begin with")
def no_version(namespace, version, function, args, kwargs):
    call = repr((args, sorted(kwargs.items())))
    return bounded(f"{namespace}:{function.__module__}.{function.__qualname__}:", call)


@wrong(says="expected it to begin with")
def everything_in_the_digest(namespace, version, function, args, kwargs):
    text = start(namespace, version, function) + repr((args, sorted(kwargs.items())))
    return hashlib.sha256(text.encode()).hexdigest()


@wrong(says="Your function returned b'")
def bytes_for_redis(namespace, version, function, args, kwargs):
    return repr_or_its_digest.answer(namespace, version, function, args, kwargs).encode()


@wrong(says="Your function returned (")
def a_tuple(namespace, version, function, args, kwargs):
    return start(namespace, version, function), args, tuple(sorted(kwargs.items()))
