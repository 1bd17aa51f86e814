import bisect
import math
import statistics
import threading
import time
from collections import Counter, deque

from labkit.cache import Unavailable
from tests.cases import right, wrong


class Meter:
    """A right answer, of which each wrong one below changes a method or two."""

    def __init__(self, backend, clock):
        self.backend, self.clock = backend, clock
        self.lock = threading.Lock()
        self.hits = self.misses = self.errors = 0
        self.seconds = deque(maxlen=1000)

    def get(self, key):
        begun = self.clock()
        try:
            text = self.backend.get(key)
        except Unavailable:
            self.count("errors", self.clock() - begun)
            raise
        self.count(self.outcome(text), self.clock() - begun)
        return text

    def outcome(self, text):
        return "misses" if text is None else "hits"

    def set(self, key, text, ttl):
        try:
            return self.backend.set(key, text, ttl)
        except Unavailable:
            self.count("errors")
            raise

    def delete(self, key):
        try:
            return self.backend.delete(key)
        except Unavailable:
            self.count("errors")
            raise

    def count(self, what, *seconds):
        with self.lock:
            setattr(self, what, getattr(self, what) + 1)
            self.keep(seconds)

    def keep(self, seconds):
        self.seconds.extend(seconds)

    def report(self):
        with self.lock:
            counts = {"hits": self.hits, "misses": self.misses, "errors": self.errors}
            seconds = sorted(self.seconds)
        return {
            **counts,
            "hit_ratio": self.ratio(),
            "p50": self.rank(seconds, 50),
            "p99": self.rank(seconds, 99),
        }

    def ratio(self):
        answered = self.hits + self.misses
        return self.hits / answered if answered else None

    def rank(self, seconds, percent):
        return seconds[math.ceil(len(seconds) * percent / 100) - 1] if seconds else None


@right
class OneLock(Meter):
    pass


@right
class OneRecordAThread:
    def __init__(self, backend, clock):
        self.backend, self.clock = backend, clock
        self.own, self.records = threading.local(), []
        self.seconds = deque(maxlen=1000)

    @property
    def counts(self):
        if not hasattr(self.own, "counts"):
            self.own.counts = Counter()
            self.records.append(self.own.counts)
        return self.own.counts

    def get(self, key):
        begun, outcome = self.clock(), "errors"
        try:
            text = self.backend.get(key)
            outcome = "hits" if text is not None else "misses"
        except Unavailable:
            raise
        except BaseException:
            outcome = None
            raise
        finally:
            if outcome:
                self.seconds.append(self.clock() - begun)
                self.counts[outcome] += 1
        return text

    def set(self, *args):
        self.passed(self.backend.set, *args)

    def delete(self, *args):
        self.passed(self.backend.delete, *args)

    def passed(self, call, *args):
        try:
            call(*args)
        except Unavailable:
            self.counts["errors"] += 1
            raise

    def report(self):
        total = {name: sum(c[name] for c in self.records) for name in ("hits", "misses", "errors")}
        answered = total["hits"] + total["misses"]
        total["hit_ratio"] = total["hits"] / answered if answered else None
        times = sorted(self.seconds)
        for percent in (50, 99):
            rank = -(-percent * len(times) // 100)
            total[f"p{percent}"] = times[rank - 1] if times else None
        return total


@wrong(says="take a lock around it")
class NoLock(Meter):
    def count(self, what, *seconds):
        setattr(self, what, getattr(self, what) + 1)
        self.keep(seconds)


@wrong(says="take a lock around it")
class PlusOne(Meter):
    def count(self, what, *seconds):
        if what == "hits":
            self.hits += 1
        elif what == "misses":
            self.misses += 1
        else:
            self.errors += 1
        self.keep(seconds)


@wrong(says="take a lock around it")
class NoLockForErrors(Meter):
    def count(self, what, *seconds):
        if what == "errors":
            self.errors += 1
            self.keep(seconds)
        else:
            super().count(what, *seconds)


@wrong(says="take a lock around it")
class NoLockForTheSeconds(Meter):
    def __init__(self, backend, clock):
        super().__init__(backend, clock)
        self.seconds = []

    def count(self, what, *seconds):
        super().count(what)
        self.seconds = [*self.seconds, *seconds][-1000:]


@wrong(says="Hold the lock while you count", waits=True)
class LocksTheBackend(Meter):
    def __init__(self, backend, clock):
        super().__init__(backend, clock)
        self.lock, self.turn = threading.RLock(), threading.Lock()

    def get(self, key):
        with self.turn:
            return super().get(key)


@wrong(says="not on `self`")
class BeginsOnSelf(Meter):
    def get(self, key):
        self.begun = self.clock()
        try:
            text = self.backend.get(key)
        except Unavailable:
            self.count("errors", self.clock() - self.begun)
            raise
        self.count(self.outcome(text), self.clock() - self.begun)
        return text


@wrong(says="an empty text is a hit")
class AnEmptyTextIsAMiss(Meter):
    def outcome(self, text):
        return "hits" if text else "misses"


@wrong(says="The ratio is that of hits to hits and misses")
class ARatioOfAllGets(Meter):
    def ratio(self):
        gets = self.hits + self.misses + self.errors
        return self.hits / gets if gets else None


@wrong(says="The ratio is that of hits to hits and misses")
class HitsToMisses(Meter):
    def ratio(self):
        return self.hits / self.misses if self.misses else None


@wrong(says="None is the answer")
class NothingIsZero(Meter):
    def ratio(self):
        return super().ratio() or 0.0


@wrong(says="raised ZeroDivisionError")
class DividesByNothing(Meter):
    def ratio(self):
        return self.hits / (self.hits + self.misses)


@wrong(says="raised IndexError")
class RanksNothing(Meter):
    def rank(self, seconds, percent):
        return seconds[math.ceil(len(seconds) * percent / 100) - 1]


@wrong(says="counted from 1")
class RoundsDown(Meter):
    def rank(self, seconds, percent):
        return seconds[len(seconds) * percent // 100 - 1] if seconds else None


@wrong(says="counted from 1")
class CountsFromZero(Meter):
    def rank(self, seconds, percent):
        at = min(len(seconds) * percent // 100, len(seconds) - 1)
        return seconds[at] if seconds else None


@wrong(says="counted from 1")
class TakesTheMiddle(Meter):
    def rank(self, seconds, percent):
        if percent == 50 and seconds:
            return statistics.median(seconds)
        return super().rank(seconds, percent)


@wrong(says="counted from 1")
class TakesTheLargest(Meter):
    def rank(self, seconds, percent):
        return seconds[-1] if percent == 99 and seconds else super().rank(seconds, percent)


@wrong(says="All three had somebody waiting")
class TimesAnswersOnly(Meter):
    def count(self, what, *seconds):
        super().count(what, *(seconds if what != "errors" else ()))


@wrong(says="The seconds are those of `get` alone")
class TimesEverything(Meter):
    def set(self, key, text, ttl):
        begun = self.clock()
        super().set(key, text, ttl)
        self.keep([self.clock() - begun])


@wrong(says="Memory has to end somewhere")
class KeepsThemAll(Meter):
    def __init__(self, backend, clock):
        super().__init__(backend, clock)
        self.seconds = []


@wrong(says="Memory has to end somewhere")
class KeepsTheFirst(Meter):
    def keep(self, seconds):
        if len(self.seconds) < 1000:
            super().keep(seconds)


@wrong(says="let `report` sort them", waits=True)
class SortsInEachGet(Meter):
    def keep(self, seconds):
        super().keep(seconds)
        self.sorted = sorted(self.seconds)


@wrong(says="let `report` sort them")
class FindsItsPlaceInEachGet(Meter):
    def __init__(self, backend, clock):
        super().__init__(backend, clock)
        self.sorted = []

    def keep(self, seconds):
        super().keep(seconds)
        for took in seconds:
            bisect.insort(self.sorted, took)
            if len(self.sorted) > 1000:
                self.sorted = sorted(self.seconds)


@wrong(says="how often a get reads the clock")
class ReadsTheClockOnceMore(Meter):
    def outcome(self, text):
        self.last = self.clock()
        return super().outcome(text)


@wrong(says="'p50' in the report")
class AsksTheRealClock(Meter):
    def __init__(self, backend, clock):
        super().__init__(backend, time.perf_counter)


@wrong(says="Count it and raise it again")
class SwallowsTheError(Meter):
    def get(self, key):
        try:
            return super().get(key)
        except Unavailable:
            return None


@wrong(says="'errors' in the report")
class CountsErrorsOfGetAlone(Meter):
    def set(self, key, text, ttl):
        return self.backend.set(key, text, ttl)


@wrong(says="Other exceptions are bugs")
class CountsEveryException(Meter):
    def set(self, key, text, ttl):
        try:
            return self.backend.set(key, text, ttl)
        except BaseException:
            self.count("errors")
            raise


@wrong(says="Pass each call on as it is, once")
class LooksFirst(Meter):
    def set(self, key, text, ttl):
        self.backend.get(key)
        super().set(key, text, ttl)


@wrong(says="Pass each call on as it is, once")
class ForgetsTheTimeToLive(Meter):
    def set(self, key, text, ttl):
        super().set(key, text, 300)


@wrong(says="has no 'hit_ratio'")
class ReportsCountsOnly(Meter):
    def report(self):
        return {"hits": self.hits, "misses": self.misses, "errors": self.errors}


@wrong(says="expected a dictionary")
class ReportsNothing(Meter):
    def report(self):
        super().report()


@wrong(says="are bugs and count nowhere")
class TimesBugsAsWell(Meter):
    def get(self, key):
        begun, outcome = self.clock(), None
        try:
            text = self.backend.get(key)
            outcome = self.outcome(text)
        except Unavailable:
            outcome = "errors"
            raise
        finally:
            took = self.clock() - begun
            with self.lock:
                self.seconds.append(took)
                if outcome:
                    setattr(self, outcome, getattr(self, outcome) + 1)
        return text


@wrong(says="copy the times under the lock")
class CopiesWithoutTheLock(Meter):
    def report(self):
        seconds = sorted(each for each in self.seconds)
        return {**super().report(), "p50": self.rank(seconds, 50), "p99": self.rank(seconds, 99)}


@wrong(says="Sort a copy")
class SortsWhatItKeeps(Meter):
    def report(self):
        with self.lock:
            self.seconds = deque(sorted(self.seconds), maxlen=1000)
        return super().report()
