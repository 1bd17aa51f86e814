import functools
import pickle

from tests.cases import right, wrong


def looked_up(function, key_of, keep=None):
    """A wrapper that remembers under `key_of(args, kwargs)`."""
    memory = {} if keep is None else keep

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = key_of(args, kwargs)
        try:
            known = key in memory
        except TypeError:
            return function(*args, **kwargs)
        if not known:
            memory[key] = function(*args, **kwargs)
        return memory[key]

    return wrapper


@right
def a_closure(function):
    return looked_up(function, lambda args, kwargs: (args, tuple(sorted(kwargs.items()))))


@right
def a_frozen_set_of_keywords(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            key = args, frozenset(kwargs.items())
            if key in memory:
                return memory[key]
        except TypeError:
            return function(*args, **kwargs)
        value = memory[key] = function(*args, **kwargs)
        return value

    return wrapper


@right
class an_object_that_is_called:  # noqa: N801 - it is named as a function is
    def __init__(self, function):
        functools.update_wrapper(self, function)
        self.function = function
        self.memory = {}

    def __call__(self, *args, **kwargs):
        key = args, tuple((name, kwargs[name]) for name in sorted(kwargs))
        try:
            hash(key)
        except TypeError:
            return self.function(*args, **kwargs)
        if key not in self.memory:
            self.memory[key] = self.function(*args, **kwargs)
        return self.memory[key]


@right
def lru_cache_behind_sorted_keywords(function):
    cached = functools.cache(lambda args, pairs: function(*args, **dict(pairs)))

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        pairs = tuple(sorted(kwargs.items()))
        try:
            hash((args, pairs))
        except TypeError:
            return function(*args, **kwargs)
        return cached(args, pairs)

    return wrapper


@right
def a_sentinel_for_what_is_missing(function):
    memory, missing = {}, object()

    def wrapper(*args, **kwargs):
        key = args, frozenset(kwargs.items()) if kwargs else None
        value = memory.get(key, missing)
        if value is missing:
            value = memory[key] = function(*args, **kwargs)
        return value

    def guarded(*args, **kwargs):
        try:
            hash((args, *kwargs.values()))
        except TypeError:
            return function(*args, **kwargs)
        return wrapper(*args, **kwargs)

    guarded.__name__, guarded.__doc__ = function.__name__, function.__doc__
    return guarded


@wrong(says="A function that returns None ran 3 times in three calls")
def none_as_a_miss(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = args, tuple(sorted(kwargs.items()))
        try:
            value = memory.get(key)
        except TypeError:
            return function(*args, **kwargs)
        if value is None:
            value = memory[key] = function(*args, **kwargs)
        return value

    return wrapper


@wrong(says="are one call, and the function ran 2 times: sort the keyword arguments")
def keywords_as_they_come(function):
    return looked_up(function, lambda args, kwargs: (args, tuple(kwargs.items())))


@wrong(says="a keyword's name with its value")
def values_of_the_keywords_only(function):
    return looked_up(
        function, lambda args, kwargs: (args, tuple(kwargs[k] for k in sorted(kwargs)))
    )


@wrong(says="a keyword's name with its value")
def names_of_the_keywords_only(function):
    return looked_up(function, lambda args, kwargs: (args, tuple(sorted(kwargs))))


@wrong(says="keep the positional arguments apart from the keywords")
def keywords_behind_the_arguments(function):
    return looked_up(function, lambda args, kwargs: args + tuple(sorted(kwargs.items())))


@wrong(says="keep the positional arguments apart from the keywords")
def everything_in_one_row(function):
    return looked_up(function, lambda args, kwargs: (*args, *sum(sorted(kwargs.items()), ())))


@wrong(says="keep the positional arguments apart from the keywords")
def forgets_the_keywords(function):
    return looked_up(function, lambda args, kwargs: args)


@wrong(says="raised TypeError: work() got an unexpected keyword argument")
def takes_no_keywords(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args):
        if args not in memory:
            memory[args] = function(*args)
        return memory[args]

    return wrapper


@wrong(says="A text and a number are two arguments")
def joined_as_text(function):
    def key_of(args, kwargs):
        return "|".join([*map(str, args), *(f"{name}={kwargs[name]}" for name in sorted(kwargs))])

    return looked_up(function, key_of)


@wrong(says="Their hashes are equal")
def the_hash_as_a_key(function):
    def key_of(args, kwargs):
        try:
            return hash((args, tuple(sorted(kwargs.items()))))
        except TypeError:
            return []  # has no hash either

    return looked_up(function, key_of)


@wrong(says="A list may change between two calls: compute each of them")
def repr_as_a_key(function):
    return looked_up(function, lambda args, kwargs: repr((args, sorted(kwargs.items()))))


@wrong(says="A list may change between two calls: compute each of them")
def pickles_the_arguments(function):
    return looked_up(function, lambda args, kwargs: pickle.dumps((args, sorted(kwargs.items()))))


@wrong(says="A list has no hash: catch TypeError at the look-up")
def forgets_what_has_no_hash(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = args, tuple(sorted(kwargs.items()))
        if key not in memory:
            memory[key] = function(*args, **kwargs)
        return memory[key]

    return wrapper


@wrong(says="A list has no hash: catch TypeError at the look-up")
def looks_at_the_positional_arguments_only(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            hash(args)
        except TypeError:
            return function(*args, **kwargs)
        key = args, tuple(sorted(kwargs.items()))
        if key not in memory:
            memory[key] = function(*args, **kwargs)
        return memory[key]

    return wrapper


@wrong(says="are one call, and the function ran 2 times: sort the keyword arguments")
def functools_cache_alone(function):
    return functools.cache(function)


@wrong(says="keep the call that computes out of the `try`")
def tries_around_the_call(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = args, tuple(sorted(kwargs.items()))
        try:
            if key not in memory:
                memory[key] = function(*args, **kwargs)
            return memory[key]
        except TypeError:
            return function(*args, **kwargs)

    return wrapper


@wrong(says="an error has to reach the caller")
def swallows_the_error(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = args, tuple(sorted(kwargs.items()))
        try:
            if key in memory:
                return memory[key]
        except TypeError:
            return function(*args, **kwargs)
        try:
            memory[key] = function(*args, **kwargs)
        except Exception:
            memory[key] = None
        return memory[key]

    return wrapper


@wrong(says="`@functools.wraps(function)` above the wrapper copies both")
def without_wraps(function):
    remembered = a_closure.answer(function)

    def wrapper(*args, **kwargs):
        return remembered(*args, **kwargs)

    return wrapper


@wrong(says="the wrapper's docstring: expected")
def copies_the_name_only(function):
    remembered = a_closure.answer(function)

    def wrapper(*args, **kwargs):
        return remembered(*args, **kwargs)

    wrapper.__name__ = function.__name__
    return wrapper


@wrong(says="Make the dictionary in `remember`, so that each function has its own")
def one_dictionary_for_every_function(function, memory={}):  # noqa: B006
    return looked_up(
        function, lambda args, kwargs: (args, tuple(sorted(kwargs.items()))), keep=memory
    )


@wrong(says="nothing was remembered. Is the dictionary made outside the wrapper")
def a_dictionary_for_every_call(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return a_closure.answer(function)(*args, **kwargs)

    return wrapper


@wrong(says="nothing was remembered")
def forgets_to_store(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = args, tuple(sorted(kwargs.items()))
        return memory[key] if key in memory else function(*args, **kwargs)

    return wrapper


@wrong(says="Your function returns None. It has to return a function")
def forgets_to_return_the_wrapper(function):
    a_closure.answer(function)


@wrong(says="Your function returns 'work-1'. It has to return a function")
def calls_the_wrapper(function):
    return a_closure.answer(function)()


@wrong(says="expected 'work-1', got None")
def returns_only_what_it_remembers(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = args, tuple(sorted(kwargs.items()))
        if key in memory:
            return memory[key]
        memory[key] = function(*args, **kwargs)
        return None

    return wrapper


@wrong(says="ran the function at once: only a call of the wrapper does")
def computes_when_it_decorates(function):
    value = function()

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return value

    return wrapper


@wrong(says="After one call of the wrapper the function itself has run 2 times")
def computes_once_too_often(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = args, tuple(sorted(kwargs.items()))
        memory.setdefault(key, function(*args, **kwargs))
        return function(*args, **kwargs)

    return wrapper


@wrong(says="ran the function again the second time")
def setdefault_computes_first(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return memory.setdefault((args, tuple(sorted(kwargs.items()))), function(*args, **kwargs))

    return wrapper


@wrong(says="an error is not remembered")
def remembers_errors_too(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        key = (args, tuple(sorted(kwargs.items())))
        try:
            known = key in memory
        except TypeError:
            return function(*args, **kwargs)
        if not known:
            try:
                memory[key] = (function(*args, **kwargs), None)
            except Exception as error:
                memory[key] = (None, error)
        value, error = memory[key]
        if error is not None:
            raise error
        return value

    return wrapper
