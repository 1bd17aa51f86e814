import contextlib
import threading

from labkit.cache import Unavailable
from tests.cases import right, wrong


class Both:
    """A right answer, of which each wrong one below changes a method or two."""

    def __init__(self, near, far, clock, near_ttl, pause):
        self.near, self.far, self.clock = near, far, clock
        self.near_ttl, self.pause = near_ttl, pause
        self.lock = threading.Lock()
        self.changes = 0
        self.until = None
        self.trying = False
        self.owed = set()

    def get(self, key):
        text = self.near.get(key)
        if text is not None:
            return text
        changes = self.changes
        text = self.ask(lambda: self.far.get(key))
        if text is not None:
            self.put(key, text, changes)
        return text

    def put(self, key, text, changes):
        with self.lock:
            if self.changes == changes:
                self.near.set(key, text, self.near_ttl)

    def set(self, key, text, ttl):
        self.ask(lambda: self.far.set(key, text, ttl), {key})
        self.set_near(key, text, self.shorter(ttl))

    def set_near(self, key, text, ttl):
        with self.lock:
            self.changes += 1
            self.near.set(key, text, ttl)

    def shorter(self, ttl):
        return self.near_ttl if ttl is None else min(ttl, self.near_ttl)

    def delete(self, key):
        self.ask(lambda: self.far.delete(key), {key})
        self.delete_near(key)

    def delete_near(self, key):
        with self.lock:
            self.changes += 1
            self.near.delete(key)

    def ask(self, call, owes=frozenset()):
        with self.lock:
            tried = self.until is not None
            if tried and self.is_left_alone():
                self.owe(owes)
                return None
            if tried:
                self.trying = True
        try:
            if tried:
                self.pay(owes)
            answer = call()
        except Unavailable:
            with self.lock:
                self.until = self.clock() + self.pause
                self.owe(owes)
                self.trying = self.trying and not tried
            return None
        else:
            with self.lock:
                self.settle(owes)
                if tried and self.is_back():
                    self.until = None
                self.trying = self.trying and not tried
            return answer
        finally:
            if tried:
                self.at_any_rate()

    def is_left_alone(self):
        return self.trying or self.clock() < self.until

    def at_any_rate(self):
        self.trying = False

    def is_back(self):
        return not self.owed

    def owe(self, keys):
        self.owed.update(keys)

    def settle(self, keys):
        self.owed.difference_update(keys)

    def pay(self, owes):
        while self.owed:
            key = self.owed.pop()
            try:
                self.far.delete(key)
            except BaseException:
                self.owed.add(key)
                raise


@right
class OneLock(Both):
    pass


@right
class LooksAgainAfterItPut(Both):
    def put(self, key, text, changes):
        if self.changes == changes:
            self.near.set(key, text, self.near_ttl)
            if self.changes != changes:
                self.near.delete(key)

    def set_near(self, key, text, ttl):
        self.changes += 1
        self.near.set(key, text, ttl)

    def delete_near(self, key):
        self.changes += 1
        self.near.delete(key)


@right
class OneAtATimeByAFurtherPause:
    """The one who tries moves the end of the pause on, and the others find that it is not over."""

    def __init__(self, near, far, clock, near_ttl, pause):
        self.near, self.far, self.clock = near, far, clock
        self.near_ttl, self.pause = near_ttl, pause
        self.lock, self.versions, self.owed = threading.RLock(), {}, {}
        self.away_until = float("-inf")
        self.works = True

    def get(self, key):
        text = self.near.get(key)
        if text is None:
            version = self.versions.get(key)
            text = self.call("get", key)
            with self.lock:
                if text is not None and self.versions.get(key) == version:
                    self.near.set(key, text, self.near_ttl)
        return text

    def set(self, key, text, ttl):
        self.call("set", key, text, ttl)
        with self.lock:
            self.versions[key] = object()
            self.near.set(key, text, min([self.near_ttl] + [ttl] * (ttl is not None)))

    def delete(self, key):
        self.call("delete", key)
        with self.lock:
            self.versions[key] = object()
            self.near.delete(key)

    def call(self, name, key, *args):
        with self.lock:
            trying = not self.works
            if trying:
                if self.clock() < self.away_until:
                    if name != "get":
                        self.owed[key] = object()
                    return None
                self.away_until = self.clock() + self.pause
        try:
            for owed, debt in self.debts() if trying else ():
                self.far.delete(owed)
                with self.lock:
                    if self.owed.get(owed) is debt:
                        del self.owed[owed]
            answer = getattr(self.far, name)(key, *args)
        except Unavailable:
            with self.lock:
                self.works, self.away_until = False, self.clock() + self.pause
                if name != "get":
                    self.owed[key] = object()
            return None
        with self.lock:
            if name != "get":
                self.owed.pop(key, None)
            if trying:
                self.works = not self.owed
                self.away_until = self.clock()
        return answer

    def debts(self):
        while self.owed:
            yield next(iter(self.owed.items()))


@wrong(says="Far goes first")
class NearFirst(Both):
    def delete(self, key):
        self.delete_near(key)
        self.ask(lambda: self.far.delete(key), {key})


@wrong(says="Remember the key")
class OwesNothing(Both):
    def owe(self, keys):
        pass


@wrong(says="Remember the key")
class OwesDeletesOnly(Both):
    def set(self, key, text, ttl):
        self.ask(lambda: self.far.set(key, text, ttl))
        self.set_near(key, text, self.shorter(ttl))


@wrong(says="A get changes nothing")
class OwesForGets(Both):
    def get(self, key):
        text = self.near.get(key)
        if text is None:
            text = self.ask(lambda: self.far.get(key), {key})
            if text is not None:
                self.put(key, text, self.changes)
        return text


@wrong(says="One entry a key is enough")
class AListOfWhatIsOwed(Both):
    def __init__(self, *args):
        super().__init__(*args)
        self.owed = []

    def owe(self, keys):
        self.owed += keys

    def settle(self, keys):
        self.owed = [key for key in self.owed if key not in keys]

    def pay(self, owes):
        while self.owed:
            self.far.delete(self.owed[0])
            del self.owed[0]


@wrong(says="`set` of another key came first")
class PaysWhenItReadsOnly(Both):
    def pay(self, owes):
        if not owes:
            super().pay(owes)

    def is_back(self):
        return True


@wrong(says="before anything is read from there")
class PaysForTheKeyAlone(Both):
    def get(self, key):
        if key in self.owed and self.until is not None and not self.is_left_alone():
            with contextlib.suppress(Unavailable):
                self.far.delete(key)
                self.owed.discard(key)
        return super().get(key)

    def pay(self, owes):
        pass


@wrong(says="settles what was owed")
class PaysAfterTheCall(Both):
    def ask(self, call, owes=frozenset()):
        if not owes:
            return super().ask(call, owes)
        with self.lock:
            if self.until is not None and self.is_left_alone():
                self.owe(owes)
                return None
        try:
            answer = call()
            super().pay(owes)
        except Unavailable:
            self.until = self.clock() + self.pause
            self.owe(owes)
            return None
        self.until = None
        return answer


@wrong(says="is still owed")
class ForgetsWhatItCouldNotPay(Both):
    def pay(self, owes):
        keys, self.owed = self.owed, set()
        for key in keys:
            self.far.delete(key)


@wrong(says="and not when what was owed at first is paid")
class PaysWhatWasOwedAtFirst(Both):
    def pay(self, owes):
        for key in list(self.owed):
            self.far.delete(key)
            self.owed.discard(key)

    def is_back(self):
        return True


@wrong(says="Far was called before the")
class LeavesNothingAlone(Both):
    def is_left_alone(self):
        return False


@wrong(says="The pause begins when the call has failed")
class CountsFromTheStart(Both):
    def ask(self, call, owes=frozenset()):
        clock, began = self.clock, self.clock()
        had = self.until
        answer = super().ask(call, owes)
        if self.until != had and self.until is not None:
            self.until = began + self.pause
        self.clock = clock
        return answer


@wrong(says="`get('back')`")
class AMomentTooLong(Both):
    def is_left_alone(self):
        return self.trying or self.clock() <= self.until


@wrong(says="One tries; the others go on")
class AllTryAtOnce(Both):
    def is_left_alone(self):
        return self.clock() < self.until


@wrong(says="However a try ends")
class NeverTriesAgain(Both):
    def at_any_rate(self):
        pass


@wrong(says="expected one try")
class TriesThreeTimes(Both):
    def ask(self, call, owes=frozenset()):
        def patiently():
            for _ in range(2):
                with contextlib.suppress(Unavailable):
                    return call()
            return call()

        return super().ask(patiently, owes)


@wrong(says="Only `Unavailable` means that far is away")
class TakesEveryErrorForAway(Both):
    def ask(self, call, owes=frozenset()):
        def careful():
            try:
                return call()
            except Exception as error:
                raise Unavailable(str(error)) from error

        return super().ask(careful, owes)


@wrong(says="That far is away nobody notices")
class LetsItThrough(Both):
    def ask(self, call, owes=frozenset()):
        return call()


@wrong(says="did not keep its text in near")
class KeepsNothingWithoutFar(Both):
    def set(self, key, text, ttl):
        self.ask(lambda: self.far.set(key, text, ttl), {key})
        if self.until is None:
            self.set_near(key, text, self.shorter(ttl))


@wrong(says="Near is there: set and delete do their part in it")
class DeletesNothingWithoutFar(Both):
    def delete(self, key):
        self.ask(lambda: self.far.delete(key), {key})
        if self.until is None:
            self.delete_near(key)


@wrong(says="The shorter of the two counts")
class KeepsItNearForAllItsTime(Both):
    def shorter(self, ttl):
        return ttl


@wrong(says="The shorter of the two counts")
class KeepsItNearForTooLong(Both):
    def shorter(self, ttl):
        return self.near_ttl


@wrong(says="the time to live in near of what came from far")
class KeepsForEverWhatCameFromFar(Both):
    def put(self, key, text, changes):
        self.near.set(key, text, None)


@wrong(says="near did not get it")
class PutsNothingNear(Both):
    def put(self, key, text, changes):
        pass


@wrong(says="with '' in far alone")
class TakesAnEmptyTextForNone(Both):
    def get(self, key):
        return super().get(key) or None


@wrong(says="ask `is not None`")
class AsksAgainForAnEmptyText(Both):
    def get(self, key):
        text = self.near.get(key)
        if not text:
            changes = self.changes
            text = self.ask(lambda: self.far.get(key))
            if text is not None:
                self.put(key, text, changes)
        return text


@wrong(says="Count the sets and deletes")
class PutsWhateverItFetched(Both):
    def put(self, key, text, changes):
        with self.lock:
            self.near.set(key, text, self.near_ttl)


@wrong(says="Count the sets and deletes")
class LooksWhenItHasFetched(Both):
    def put(self, key, text, changes):
        super().put(key, text, self.changes)


@wrong(says="is one step")
class LooksAndThenPuts(Both):
    def put(self, key, text, changes):
        if self.changes == changes:
            self.near.set(key, text, self.near_ttl)


@wrong(says="is one step")
class CountsOutsideTheLock(Both):
    def delete_near(self, key):
        self.near.delete(key)
        with self.lock:
            self.changes += 1


@wrong(says="hold no lock while far is at work", waits=True)
class OneLockAroundItAll:
    def __init__(self, *args):
        self.both, self.lock = Both(*args), threading.Lock()

    def get(self, key):
        with self.lock:
            return self.both.get(key)

    def set(self, key, text, ttl):
        with self.lock:
            self.both.set(key, text, ttl)

    def delete(self, key):
        with self.lock:
            self.both.delete(key)


@wrong(says="left the key in far")
class ForgetsFar(Both):
    def delete(self, key):
        self.delete_near(key)


class WithItsOwnEnds(Both):
    """As `Both`, with two more methods: what follows from an answer, and from Unavailable."""

    def ask(self, call, owes=frozenset()):
        with self.lock:
            tried = self.until is not None
            if tried and self.is_left_alone():
                self.owe(owes)
                return None
            self.trying = self.trying or tried
        try:
            if tried:
                self.pay(owes)
            answer = call()
        except Unavailable:
            with self.lock:
                self.until = self.clock() + self.pause
                self.has_failed(tried, owes)
            return None
        else:
            with self.lock:
                self.settle(owes)
                self.has_answered(tried)
            return answer
        finally:
            if tried:
                self.at_any_rate()

    def has_failed(self, tried, owes):
        self.owe(owes)

    def has_answered(self, tried):
        if tried and self.is_back():
            self.until = None


@wrong(says="Remember the key")
class OwesNotWhatATryCouldNotDo(WithItsOwnEnds):
    def has_failed(self, tried, owes):
        if not tried:
            self.owe(owes)


@wrong(says="no answer that was under way")
class AnyAnswerShowsItBack(WithItsOwnEnds):
    def has_answered(self, tried):
        if not self.owed:
            self.until = None


@wrong(says="no answer that was under way")
class AnyAnswerShowsItBackWhateverIsOwed(WithItsOwnEnds):
    def has_answered(self, tried):
        self.until = None


@wrong(says="What is owed stays owed until it is deleted in far")
class AnyAnswerSettlesAll(Both):
    def settle(self, keys):
        self.owed.clear()


@wrong(says="Far counts as back when nothing is owed any more")
class BackWhateverCameToBeOwed(Both):
    def is_back(self):
        return True


@wrong(says="A key is owed until far has deleted it, whatever comes")
class ForgetsWhatMetABug(Both):
    def pay(self, owes):
        while self.owed:
            key = self.owed.pop()
            try:
                self.far.delete(key)
            except Unavailable:
                self.owed.add(key)
                raise
