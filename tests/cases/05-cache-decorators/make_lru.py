import functools
import random
from collections import Counter, OrderedDict

from tests.cases import right, wrong


@right
def a_dictionary_in_order_of_use(room, load):
    memory = {}

    def get(key):
        if key in memory:
            memory[key] = memory.pop(key)
        else:
            memory[key] = load(key)
            if len(memory) > room:
                del memory[next(iter(memory))]
        return memory[key]

    return get


@right
def an_ordered_dict(room, load):
    memory = OrderedDict()

    def get(key):
        if key not in memory:
            if len(memory) == room:
                memory.popitem(last=False)
            memory[key] = load(key)
        memory.move_to_end(key)
        return memory[key]

    return get


@right
def the_standard_library(room, load):
    return functools.lru_cache(maxsize=room)(load)


@right
class an_object_that_is_called:  # noqa: N801 - it is named as a function is
    def __init__(self, room, load):
        self.room, self.load = room, load
        self.values, self.used, self.now = {}, {}, 0

    def __call__(self, key):
        self.now += 1
        self.used[key] = self.now
        if key not in self.values:
            self.values[key] = self.load(key)
        if len(self.values) > self.room:
            oldest = min(self.used, key=self.used.get)
            del self.values[oldest], self.used[oldest]
        return self.values[key]


@right
def a_method_of_a_dictionary(room, load):
    class Memory(dict):
        def __missing__(self, key):
            if len(self) == room:
                del self[next(iter(self))]
            self[key] = load(key)
            return self[key]

        def get(self, key):
            value = self[key]
            self[key] = self.pop(key)
            return value

    return Memory().get


@right
def a_list_of_pairs(room, load):
    pairs = []

    def get(key):
        pair = next((pair for pair in pairs if pair[0] == key), None)
        if pair is None:
            pair = key, load(key)
        else:
            pairs.remove(pair)
        pairs.append(pair)
        del pairs[:-room]
        return pair[1]

    return get


def evicting(room, load, evict, hit=lambda memory, key: None):
    """A cache that calls `evict(memory)` when it is full, and `hit(memory, key)` at a hit."""
    memory = {}

    def get(key):
        if key in memory:
            hit(memory, key)
            return memory[key]
        if len(memory) >= room:
            evict(memory)
        memory[key] = load(key)
        return memory[key]

    return get


def to_the_end(memory, key):
    memory[key] = memory.pop(key)


@wrong(says="A hit has to move its key to the end")
def the_first_in_is_the_first_out(room, load):
    return evicting(room, load, lambda memory: memory.pop(next(iter(memory))))


@wrong(says="`popitem()` takes the last")
def the_newest_goes(room, load):
    return evicting(room, load, dict.popitem, to_the_end)


@wrong(says="`popitem()` takes the last")
def what_was_just_loaded_goes(room, load):
    memory = {}

    def get(key):
        if key in memory:
            memory[key] = memory.pop(key)
            return memory[key]
        value = memory[key] = load(key)
        if len(memory) > room:
            memory.popitem()
        return value

    return get


@wrong(says="what is gone is")
def any_key_goes(room, load):
    dice = random.Random(0)

    def evict(memory):
        del memory[dice.choice(list(memory))]

    return evicting(room, load, evict, to_the_end)


@wrong(says="what is gone is")
def everything_goes(room, load):
    return evicting(room, load, dict.clear, to_the_end)


@wrong(says="when a key was used last, not how often")
def the_least_often_used_goes(room, load):
    memory, uses = {}, Counter()

    def get(key):
        if key not in memory:
            if len(memory) == room:
                rarest = min(memory, key=uses.get)
                del memory[rarest], uses[rarest]
            memory[key] = load(key)
        uses[key] += 1
        memory[key] = memory.pop(key)
        return memory[key]

    return get


@wrong(says="what is gone is nothing")
def one_too_many(room, load):
    return a_dictionary_in_order_of_use.answer(room + 1, load)


@wrong(says="keys were asked for three times")
def one_too_few(room, load):
    return a_dictionary_in_order_of_use.answer(room - 1, load)


@wrong(says="what is gone is nothing")
def no_bound(room, load):
    return functools.cache(load)


@wrong(says="keys were asked for three times")
def keeps_nothing(room, load):
    return load


@wrong(says="100 values are kept")
def values_in_a_second_dictionary(room, load):
    order, values = {}, {}

    def get(key):
        if key in order:
            order[key] = order.pop(key)
        else:
            order[key] = True
            values[key] = load(key)
            if len(order) > room:
                del order[next(iter(order))]
        return values[key]

    return get


@wrong(says="100 keys are kept")
def times_of_use_are_kept(room, load):
    memory, used, now = {}, {}, 0

    def get(key):
        nonlocal now
        now += 1
        used[key] = now
        if key not in memory:
            memory[key] = load(key)
            if len(memory) > room:
                del memory[min(memory, key=used.get)]
        return memory[key]

    return get


@wrong(says="100 values are kept")
def only_marks_what_is_gone(room, load):
    memory, gone = {}, set()

    def get(key):
        if key in memory and key not in gone:
            memory[key] = memory.pop(key)
            return memory[key]
        memory.pop(key, None)
        memory[key] = load(key)
        gone.discard(key)
        live = [each for each in memory if each not in gone]
        gone.update(live[:-room])
        return memory[key]

    return get


@wrong(says="What was loaded as None was loaded again")
def none_as_a_miss(room, load):
    memory = {}

    def get(key):
        value = memory.pop(key, None)
        if value is None:
            value = load(key)
        memory[key] = value
        if len(memory) > room:
            del memory[next(iter(memory))]
        return value

    return get


@wrong(says="Make the dictionary in `make_lru`, so that two caches share nothing")
def one_dictionary_for_all(room, load, memory={}):  # noqa: B006
    def get(key):
        if key in memory:
            memory[key] = memory.pop(key)
            return memory[key]
        if len(memory) >= room:
            memory.pop(next(iter(memory)))
        memory[key] = load(key)
        return memory[key]

    return get


@wrong(says="Your function returns None. It has to return a function")
def forgets_to_return_get(room, load):
    a_dictionary_in_order_of_use.answer(room, load)


@wrong(says="-1', got None")
def returns_nothing_on_a_hit(room, load):
    memory = {}

    def get(key):
        if key in memory:
            memory[key] = memory.pop(key)
            return None
        memory[key] = load(key)
        if len(memory) > room:
            del memory[next(iter(memory))]
        return memory[key]

    return get


@wrong(says="missing 1 required positional argument")
def loads_without_the_key(room, load):
    return evicting(room, lambda key: load(), lambda memory: memory.pop(next(iter(memory))))
