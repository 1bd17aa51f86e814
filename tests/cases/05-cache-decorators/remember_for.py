import functools
import time

from tests.cases import right, wrong


@right
def a_pair_in_a_closure(seconds, clock):
    def decorate(function):
        memory = {}

        @functools.wraps(function)
        def wrapper(*args):
            if args in memory:
                then, value = memory[args]
                if clock() - then < seconds:
                    return value
            value = function(*args)
            memory[args] = clock(), value
            return value

        return wrapper

    return decorate


@right
class an_object_that_decorates:  # noqa: N801 - it is named as a function is
    def __init__(self, seconds, clock):
        self.seconds, self.clock = seconds, clock

    def __call__(self, function):
        deadlines, values = {}, {}

        def wrapper(*args):
            now = self.clock()
            if now >= deadlines.get(args, 0):
                values[args] = function(*args)
                deadlines[args] = now + self.seconds
            return values[args]

        return wrapper


@right
def one_dictionary_with_the_function_in_its_keys(seconds, clock):
    memory = {}

    def decorate(function):
        def wrapper(*args):
            key = function, args
            try:
                deadline, value = memory[key]
                if clock() < deadline:
                    return value
                del memory[key]
            except KeyError:
                pass
            memory[key] = clock() + seconds, function(*args)
            return memory[key][1]

        return wrapper

    return decorate


@right
def partial_of_a_function_of_four(seconds, clock):
    def call(memory, function, *args):
        known = memory.get(args)
        if known is None or clock() >= known[0] + seconds:
            known = memory[args] = (clock(), function(*args))
        return known[1]

    return lambda function: functools.partial(call, {}, function)


def kept(seconds, clock, memory, function):
    def wrapper(*args):
        if args in memory:
            then, value = memory[args]
            if clock() - then < seconds:
                return value
        value = function(*args)
        memory[args] = clock(), value
        return value

    return wrapper


@wrong(says="Make the dictionary where the function is known, in the decorator")
def a_dictionary_for_both_functions(seconds, clock):
    memory = {}
    return lambda function: kept(seconds, clock, memory, function)


@wrong(says="Make the dictionary where the function is known, in the decorator")
def a_dictionary_among_the_parameters(seconds, clock, memory={}):  # noqa: B006
    return lambda function: kept(seconds, clock, memory, function)


@wrong(says="where two modules have a function `title`")
def tells_functions_by_their_names(seconds, clock):
    memories = {}
    return lambda function: kept(
        seconds, clock, memories.setdefault(function.__name__, {}), function
    )


@wrong(says="Is the dictionary made in the decorator, and not anew in the wrapper?")
def a_dictionary_for_every_call(seconds, clock):
    return lambda function: lambda *args: kept(seconds, clock, {}, function)(*args)


@wrong(says="a hit does not prolong it")
def a_hit_prolongs(seconds, clock):
    def decorate(function):
        memory = {}

        def wrapper(*args):
            then, value = memory.get(args, (-seconds, None))
            if clock() - then >= seconds:
                value = function(*args)
            memory[args] = clock(), value
            return value

        return wrapper

    return decorate


@wrong(says="`<`, not `<=`")
def fresh_to_the_end(seconds, clock):
    def decorate(function):
        memory = {}

        def wrapper(*args):
            if args not in memory or clock() - memory[args][0] > seconds:
                memory[args] = clock(), function(*args)
            return memory[args][1]

        return wrapper

    return decorate


@wrong(says="A value that was computed anew has its whole time again")
def keeps_the_first_time(seconds, clock):
    def decorate(function):
        memory, times = {}, {}

        def wrapper(*args):
            times.setdefault(args, clock())
            if args not in memory or clock() - times[args] >= seconds:
                memory[args] = function(*args)
            return memory[args]

        return wrapper

    return decorate


@wrong(says="Ask `clock()` when a value is stored, and again at every call")
def never_looks_at_the_clock(seconds, clock):
    return functools.cache


@wrong(says="Ask `clock()` when a value is stored, and again at every call")
def asks_the_clock_once(seconds, clock):
    def decorate(function):
        now = clock()
        return kept(seconds, lambda: now, {}, function)

    return decorate


@wrong(says="Ask `clock()` when a value is stored, and again at every call")
def looks_at_another_clock(seconds, clock):
    return lambda function: kept(seconds, time.monotonic, {}, function)


@wrong(says="raised TypeError: unsupported operand")
def does_not_call_the_clock(seconds, clock):
    def decorate(function):
        memory = {}

        def wrapper(*args):
            if args not in memory or clock - memory[args][0] >= seconds:
                memory[args] = clock, function(*args)
            return memory[args][1]

        return wrapper

    return decorate


@wrong(says="Each value has a time of its own")
def one_time_for_all_values(seconds, clock):
    def decorate(function):
        memory, then = {}, 0

        def wrapper(*args):
            nonlocal then
            if args not in memory or clock() - then >= seconds:
                memory[args] = function(*args)
                then = clock()
            return memory[args]

        return wrapper

    return decorate


@wrong(says="Each value has a time of its own")
def clears_everything(seconds, clock):
    def decorate(function):
        memory = {}

        def wrapper(*args):
            if args in memory and clock() - memory[args][0] >= seconds:
                memory.clear()
            if args not in memory:
                memory[args] = clock(), function(*args)
            return memory[args][1]

        return wrapper

    return decorate


@wrong(says="None is a value too")
def none_as_a_miss(seconds, clock):
    def decorate(function):
        memory = {}

        def wrapper(*args):
            then, value = memory.get(args, (0, None))
            if value is None or clock() - then >= seconds:
                value = function(*args)
                memory[args] = clock(), value
            return value

        return wrapper

    return decorate


@wrong(says="That is the error of the call before")
def remembers_the_error(seconds, clock):
    def decorate(function):
        def outcome(*args):
            try:
                return function(*args), None
            except Exception as error:
                return None, error

        remembered = kept(seconds, clock, {}, outcome)

        def wrapper(*args):
            value, error = remembered(*args)
            if error is not None:
                raise error
            return value

        return wrapper

    return decorate


@wrong(says="an error has to reach the caller")
def none_for_an_error(seconds, clock):
    def decorate(function):
        def safe(*args):
            try:
                return function(*args)
            except Exception:
                return None

        return kept(seconds, clock, {}, safe)

    return decorate


@wrong(says="an error has to reach the caller")
def the_old_value_for_an_error(seconds, clock):
    def decorate(function):
        memory = {}

        def wrapper(*args):
            if args not in memory or clock() - memory[args][0] >= seconds:
                try:
                    memory[args] = clock(), function(*args)
                except Exception:
                    if args not in memory:
                        raise
            return memory[args][1]

        return wrapper

    return decorate


@wrong(says="after a first call that raised: expected 'fine', got None")
def stores_before_it_computes(seconds, clock):
    def decorate(function):
        memory = {}

        def wrapper(*args):
            if args not in memory or clock() - memory[args][0] >= seconds:
                memory[args] = [clock(), None]
                memory[args][1] = function(*args)
            return memory[args][1]

        return wrapper

    return decorate


@wrong(says="there are three functions inside each other")
def forgets_to_return_the_wrapper(seconds, clock):
    def decorate(function):
        kept(seconds, clock, {}, function)

    return decorate


@wrong(says="Your function returns None. It has to return a function")
def forgets_to_return_the_decorator(seconds, clock):
    def decorate(function):
        return kept(seconds, clock, {}, function)


@wrong(says="there are three functions inside each other")
def two_functions_for_three(seconds, clock):
    memory = {}

    def wrapper(*args):
        return memory.setdefault(args, (clock(), "the function is not at hand"))

    return wrapper
