import heapq
import itertools
import math
import time
from collections import OrderedDict

from tests.cases import right, wrong


class Backend:
    """A right answer, of which each wrong one below changes a method or two."""

    def __init__(self, most, clock):
        if most < 1:
            raise ValueError(f"most is {most}; expected 1 or more")
        self.most, self.clock = most, clock
        self.held = OrderedDict()

    def get(self, key):
        self.expire()
        if key not in self.held:
            return None
        self.use(key)
        return self.held[key][0]

    def use(self, key):
        self.held.move_to_end(key)

    def set(self, key, text, ttl):
        self.delete(key)
        if ttl is not None and ttl <= 0:
            return
        if len(self.held) >= self.most:
            self.held.popitem(last=False)
        self.held[key] = text, self.ends(ttl)

    def ends(self, ttl):
        return math.inf if ttl is None else self.clock() + ttl

    def delete(self, key):
        self.expire()
        self.held.pop(key, None)

    def expire(self):
        now = self.clock()
        for key, (_, ends) in list(self.held.items()):
            if self.over(ends, now):
                del self.held[key]

    def over(self, ends, now):
        return ends <= now


@right
class AnOrderedDict(Backend):
    pass


@right
class ADictionaryInOrderOfUse:
    def __init__(self, most, clock):
        if most <= 0:
            raise ValueError("most")
        self.most, self.clock, self.held = most, clock, {}

    def get(self, key):
        text, stored, ttl = self.held.pop(key, (None, 0, 0))
        if text is None or (ttl is not None and self.clock() - stored >= ttl):
            return None
        self.held[key] = text, stored, ttl
        return text

    def set(self, key, text, ttl):
        now = self.clock()
        self.held.pop(key, None)
        self.held = {k: v for k, v in self.held.items() if v[2] is None or v[1] + v[2] > now}
        if ttl is None or ttl > 0:
            if len(self.held) == self.most:
                del self.held[next(iter(self.held))]
            self.held[key] = text, now, ttl

    def delete(self, key):
        if key in self.held:
            del self.held[key]


@right
class AHeapThatIsCleaned:
    def __init__(self, most, clock):
        if most < 1:
            raise ValueError("most")
        self.most, self.clock = most, clock
        self.texts, self.ends, self.used = {}, {}, {}
        self.heap, self.count = [], itertools.count()

    def forget(self):
        while self.heap and (
            self.heap[0][0] <= self.clock() or self.ends.get(self.heap[0][1]) != self.heap[0][0]
        ):
            ends, key = heapq.heappop(self.heap)
            if self.ends.get(key) == ends:
                self.delete(key)
        if len(self.heap) > 2 * self.most:
            self.heap = [(ends, key) for key, ends in self.ends.items()]
            heapq.heapify(self.heap)

    def get(self, key):
        self.forget()
        if key in self.texts:
            self.used[key] = next(self.count)
        return self.texts.get(key)

    def set(self, key, text, ttl):
        self.delete(key)
        self.forget()
        if ttl is not None and ttl <= 0:
            return
        if len(self.texts) == self.most:
            self.delete(min(self.used, key=self.used.__getitem__))
        self.texts[key] = text
        self.used[key] = next(self.count)
        if ttl is not None:
            self.ends[key] = self.clock() + ttl
            heapq.heappush(self.heap, (self.ends[key], key))

    def delete(self, key):
        for kept in (self.texts, self.ends, self.used):
            kept.pop(key, None)


@wrong(says="A get is a use")
class GoesByTheOrderOfWriting(Backend):
    def use(self, key):
        pass


@wrong(says="A set is a use, of a key that is there, too")
class LeavesAReplacedOneInItsPlace(Backend):
    def set(self, key, text, ttl):
        self.expire()
        if key in self.held and (ttl is None or ttl > 0):
            self.held[key] = text, self.ends(ttl)
        else:
            super().set(key, text, ttl)


@wrong(says="A delete removes the one key")
class DeletesEverything(Backend):
    def delete(self, key):
        self.held.clear()

    def set(self, key, text, ttl):
        self.expire()
        self.held.pop(key, None)
        if ttl is None or ttl > 0:
            if len(self.held) == self.most:
                self.held.popitem(last=False)
            self.held[key] = text, self.ends(ttl)


@wrong(says="`clock() < stored + ttl`")
class AMomentTooLong(Backend):
    def over(self, ends, now):
        return ends < now


@wrong(says="`clock() < stored + ttl`")
class AsksTheRealClock(Backend):
    def __init__(self, most, clock):
        super().__init__(most, time.time)


@wrong(says="`clock() < stored + ttl`")
class TakesMilliseconds(Backend):
    def ends(self, ttl):
        return math.inf if ttl is None else self.clock() + ttl * 1000


@wrong(says="A set replaces the time to live as well")
class KeepsTheFirstTimeToLive(Backend):
    def set(self, key, text, ttl):
        self.expire()
        ends = self.held.get(key, (None, None))[1]
        super().set(key, text, ttl)
        if ends is not None and key in self.held:
            self.held[key] = text, ends


@wrong(says="A get does not make it live longer")
class LivesFromTheLastGetOn(Backend):
    def set(self, key, text, ttl):
        super().set(key, text, ttl)
        self.ttls = {**getattr(self, "ttls", {}), key: ttl}

    def use(self, key):
        super().use(key)
        self.held[key] = self.held[key][0], self.ends(self.ttls[key])


@wrong(says="takes 0 for None")
class NoTimeIsForEver(Backend):
    def set(self, key, text, ttl):
        super().set(key, text, ttl or None)


@wrong(says="the old text has been replaced")
class KeepsTheOldWhereTheNewIsOver(Backend):
    def set(self, key, text, ttl):
        if ttl is None or ttl > 0:
            super().set(key, text, ttl)


@wrong(says="so that one goes, and not")
class ExpiresWhatIsAskedForOnly(Backend):
    def get(self, key):
        if key in self.held and self.over(self.held[key][1], self.clock()):
            del self.held[key]
        return super().get(key)

    def expire(self):
        pass


@wrong(says="nothing goes for it")
class MakesRoomForNothing(Backend):
    def set(self, key, text, ttl):
        self.delete(key)
        if len(self.held) >= self.most:
            self.held.popitem(last=False)
        if ttl is None or ttl > 0:
            self.held[key] = text, self.ends(ttl)


@wrong(says="takes no more room")
class MakesRoomForWhatIsThere(Backend):
    def set(self, key, text, ttl):
        self.expire()
        if len(self.held) >= self.most:
            self.held.popitem(last=False)
        super().set(key, text, ttl)


@wrong(says="Two texts are all it may keep")
class OneTooMany(Backend):
    def __init__(self, most, clock):
        super().__init__(most, clock)
        self.most += 1


@wrong(says="There is room for both")
class OneTooFew(Backend):
    def __init__(self, most, clock):
        super().__init__(most, clock)
        self.most -= 1

    def set(self, key, text, ttl):
        self.delete(key)
        if ttl is None or ttl > 0:
            if self.held and len(self.held) >= self.most:
                self.held.popitem(last=False)
            self.held[key] = text, self.ends(ttl)


@wrong(says="An empty text is a text, and no miss")
class TakesAnEmptyTextForNone(Backend):
    def get(self, key):
        return super().get(key) or None


@wrong(says="raised KeyError")
class CannotDeleteWhatIsNotThere(Backend):
    def get(self, key):
        self.expire()
        return super().get(key)

    def delete(self, key):
        self.expire()
        del self.held[key]

    def set(self, key, text, ttl):
        self.expire()
        if key in self.held:
            del self.held[key]
        if ttl is None or ttl > 0:
            if len(self.held) == self.most:
                self.held.popitem(last=False)
            self.held[key] = text, self.ends(ttl)


@wrong(says="of the texts in memory")
class HidesWhatIsTooMuch(Backend):
    def __init__(self, most, clock):
        super().__init__(most, clock)
        self.all = []

    def set(self, key, text, ttl):
        self.all.append(text)
        super().set(key, text, ttl)


@wrong(says="of the keys in memory")
class KeepsTheEndsOfWhatWent(Backend):
    def __init__(self, most, clock):
        super().__init__(most, clock)
        self.heap = []

    def set(self, key, text, ttl):
        heapq.heappush(self.heap, (self.ends(ttl), id(text), key))
        super().set(key, text, ttl)


@wrong(says="expected a ValueError")
class AnyNumberWillDo(Backend):
    def __init__(self, most, clock):
        super().__init__(max(1, most), clock)


@wrong(says="raised AssertionError")
class Asserts(Backend):
    def __init__(self, most, clock):
        assert most >= 1
        super().__init__(most, clock)


@wrong(says="has no method `delete`")
class HasNoDelete:
    def __init__(self, most, clock):
        self._backend = Backend(most, clock)
        self.get, self.set = self._backend.get, self._backend.set


@wrong(says="This method is not written yet")
class IsHalfWritten(Backend):
    def delete(self, key):
        raise NotImplementedError

    def set(self, key, text, ttl):
        self.held[key] = text, self.ends(ttl)


@wrong(says="has no method `get`")
def returns_no_object(most, clock):
    return {}.get if most == -1 else object()
