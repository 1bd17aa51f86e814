import contextlib
import threading
from threading import Lock

from labkit.cache import QueueFull, Unavailable
from tests.cases import right, wrong


class Strategy:
    def __init__(self, backend, source, pack, unpack, ttl, name, most):
        self.backend = backend
        self.source = source
        self.pack = pack
        self.unpack = unpack
        self.ttl = ttl
        self.name = name
        self.most = most
        self.waiting = {}
        self.lock = threading.Lock()
        self.flushing = threading.Lock()

    def key(self, number):
        return f"{self.name}:{number}"

    def set(self, number, text):
        self.backend.set(self.key(number), text, self.ttl)

    def look_for_room(self, number):
        if number not in self.waiting and len(self.waiting) >= self.most:
            raise QueueFull(f"{self.most} others wait")

    def note(self, number, entity):
        self.waiting[number] = entity

    def write(self, number, entity):
        text = self.pack(entity)
        with self.lock:
            self.look_for_room(number)
            self.set(number, text)
            self.note(number, entity)

    def read(self, number):
        with self.lock:
            if number in self.waiting:
                return self.waiting[number]
        return self.cached(number)

    def cached(self, number):
        text = None
        with contextlib.suppress(Unavailable):
            text = self.backend.get(self.key(number))
        entity = None if text is None else self.unpack(text)
        if entity is None:
            entity = self.source.load(number)
            if entity is not None:
                self.keep(number, entity)
        return entity

    def keep(self, number, entity):
        with self.lock, contextlib.suppress(Unavailable):
            if number not in self.waiting:
                self.set(number, self.pack(entity))

    def flush(self, batch):
        with self.flushing:
            return self.save_all(batch)

    def save_all(self, batch):
        with self.lock:
            due = list(self.waiting.items())
        for start in range(0, len(due), batch):
            part = dict(due[start : start + batch])
            self.source.save_many(part)
            self.let_go(part)
        return len(due)

    def let_go(self, part):
        with self.lock:
            for number, entity in part.items():
                if self.waiting[number] is entity:
                    del self.waiting[number]


@right
class WithTwoLocks(Strategy):
    pass


@right
class WithAConditionAndNumbers(Strategy):
    """What waits has a number, each batch takes the newest, and a second flush does nothing."""

    def __init__(self, *args):
        super().__init__(*args)
        self.lock = threading.Condition()
        self.number = 0

    def note(self, number, entity):
        self.number += 1
        self.waiting[number] = (self.number, entity)

    def read(self, number):
        with self.lock:
            if number in self.waiting:
                return self.waiting[number][1]
        return self.cached(number)

    def flush(self, batch):
        if not self.flushing.acquire(blocking=False):
            return 0
        try:
            return self.save_all(batch)
        finally:
            self.flushing.release()

    def save_all(self, batch):
        with self.lock:
            ids = list(self.waiting)
        saved = 0
        while ids:
            now, ids = ids[:batch], ids[batch:]
            with self.lock:
                part = {number: self.waiting[number] for number in now}
            self.source.save_many({number: entity for number, (_, entity) in part.items()})
            saved += len(part)
            with self.lock:
                for number in now:
                    if self.waiting[number][0] == part[number][0]:
                        self.waiting.pop(number)
        return saved


@right
class WithALockThatMayBeTakenTwice(Strategy):
    def __init__(self, *args):
        super().__init__(*args)
        self.lock = threading.RLock()

    def set(self, number, text):
        with self.lock:
            super().set(number, text)


@right
class WithLocksImportedByName(Strategy):
    def __init__(self, *args):
        super().__init__(*args)
        self.lock, self.flushing = Lock(), Lock()


@wrong(says="it waits for `flush`")
class SavesAtOnce(Strategy):
    def write(self, number, entity):
        super().write(number, entity)
        self.source.save(number, entity)


@wrong(says="What waits is newer than anything else: look there first")
class ReadsTheBackendFirst(Strategy):
    def read(self, number):
        with contextlib.suppress(Unavailable):
            text = self.backend.get(self.key(number))
            if text is not None and self.unpack(text) is not None:
                return self.unpack(text)
        return super().read(number)


@wrong(says="when the backend has let go of it")
class TrustsTheBackendToKeepIt(Strategy):
    def read(self, number):
        return self.cached(number)


@wrong(says="an entity may be false: compare with None")
class TakesAnEmptyEntityForNone(Strategy):
    def read(self, number):
        return self.waiting.get(number) or self.cached(number)


@wrong(says="and nothing stands under")
class IsNotThereForReaders(Strategy):
    def write(self, number, entity):
        self.pack(entity)
        with self.lock:
            self.look_for_room(number)
            self.note(number, entity)


@wrong(says="They were refused: what waited before still waits")
class NotesAWriteThatFails(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        with self.lock:
            self.look_for_room(number)
            self.note(number, entity)
            self.set(number, text)


@wrong(says="the write is refused, and the caller has to know")
class HidesThatTheBackendIsAway(Strategy):
    def write(self, number, entity):
        with contextlib.suppress(Unavailable):
            super().write(number, entity)


@wrong(says="Pack first")
class PacksLate(Strategy):
    def write(self, number, entity):
        with self.lock:
            self.look_for_room(number)
            self.backend.delete(self.key(number))
            self.set(number, self.pack(entity))
            self.note(number, entity)


@wrong(says="expected QueueFull")
class HasNoBound(Strategy):
    def look_for_room(self, number):
        pass


@wrong(says="expected QueueFull")
class LetsTheOldestGo(Strategy):
    def look_for_room(self, number):
        if number not in self.waiting and len(self.waiting) >= self.most:
            del self.waiting[next(iter(self.waiting))]


@wrong(says="there was room")
class StopsOneTooEarly(Strategy):
    def look_for_room(self, number):
        if number not in self.waiting and len(self.waiting) + 1 >= self.most:
            raise QueueFull


@wrong(says="its new entity takes no more room")
class RefusesWhatWaitsAlready(Strategy):
    def look_for_room(self, number):
        if len(self.waiting) >= self.most:
            raise QueueFull


@wrong(says="A write that is refused must not be read")
class StoresBeforeItLooks(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        with self.lock:
            self.set(number, text)
            self.look_for_room(number)
            self.note(number, entity)


@wrong(says="Of each id the latest is saved, once")
class KeepsEveryWrite(Strategy):
    def __init__(self, *args):
        super().__init__(*args)
        self.writes = []

    def note(self, number, entity):
        self.waiting[number] = entity
        self.writes.append((number, entity))

    def save_all(self, batch):
        with self.lock:
            due, self.writes = self.writes, []
            self.waiting.clear()
        for start in range(0, len(due), batch):
            self.source.save_many(dict(due[start : start + batch]))
        return len(due)


@wrong(says="at most")
class SavesAllAtOnce(Strategy):
    def save_all(self, batch):
        return super().save_all(len(self.waiting) or 1)


@wrong(says="`save_many` takes a whole batch")
class SavesOneByOne(Strategy):
    def save_all(self, batch):
        with self.lock:
            due = dict(self.waiting)
        for number, entity in due.items():
            self.source.save(number, entity)
        self.let_go(due)
        return len(due)


@wrong(says="An id that is written again keeps its place")
class MovesToTheEnd(Strategy):
    def note(self, number, entity):
        self.waiting.pop(number, None)
        self.waiting[number] = entity


@wrong(says="The oldest first")
class SavesTheNewestFirst(Strategy):
    def save_all(self, batch):
        saved = 0
        for start in range(0, len(self.waiting), batch):
            del start
            part = dict(list(reversed(self.waiting.items()))[:batch])
            self.source.save_many(part)
            self.let_go(part)
            saved += len(part)
        return saved


@wrong(says="Answer how many entities were saved")
class AnswersHowManyBatches(Strategy):
    def save_all(self, batch):
        return -(-super().save_all(batch) // batch)


@wrong(says="Nothing waited, and flush asked for")
class SavesNothingToo(Strategy):
    def save_all(self, batch):
        if not self.waiting:
            self.source.save_many({})
        return super().save_all(batch)


@wrong(says="which still waits")
class RemovesFirst(Strategy):
    def save_all(self, batch):
        with self.lock:
            due, self.waiting = list(self.waiting.items()), {}
        for start in range(0, len(due), batch):
            self.source.save_many(dict(due[start : start + batch]))
        return len(due)


@wrong(says="it is the caller's")
class SwallowsTheError(Strategy):
    def flush(self, batch):
        try:
            return super().flush(batch)
        except Exception:
            return 0


@wrong(says="Let go of what the source has")
class LetsGoAtTheEnd(Strategy):
    def save_all(self, batch):
        with self.lock:
            due = list(self.waiting.items())
        for start in range(0, len(due), batch):
            self.source.save_many(dict(due[start : start + batch]))
        self.let_go(dict(due))
        return len(due)


@wrong(says="it is lost. Remove what `save_many` got")
class ClearsWhatWaits(Strategy):
    def let_go(self, part):
        with self.lock:
            if len(part) == len(self.waiting) or len(part) == 2:
                self.waiting.clear()
            for number in part:
                self.waiting.pop(number, None)


@wrong(says="it is lost. Remove what `save_many` got")
class RemovesByIdAlone(Strategy):
    def let_go(self, part):
        with self.lock:
            for number in part:
                self.waiting.pop(number, None)


@wrong(says="Hold no lock while the database works: not to wait")
class HoldsTheLockWhileItSaves(Strategy):
    def __init__(self, *args):
        super().__init__(*args)
        self.lock = threading.RLock()

    def flush(self, batch):
        with self.lock:
            return self.save_all(batch)


@wrong(says="would wait for itself for ever")
class TakesItsLockTwice(Strategy):
    def flush(self, batch):
        with self.lock:
            return self.save_all(batch)


@wrong(says="would wait for itself for ever")
class TakesALockImportedByNameTwice(Strategy):
    def __init__(self, *args):
        super().__init__(*args)
        self.lock = Lock()

    def flush(self, batch):
        with self.lock:
            return self.save_all(batch)


@wrong(says="A flush saves what waits when it begins")
class GoesOnUntilNothingWaits(Strategy):
    def save_all(self, batch):
        saved = 0
        while self.waiting:
            with self.lock:
                part = dict(list(self.waiting.items())[:batch])
            self.source.save_many(part)
            self.let_go(part)
            saved += len(part)
        return saved


@wrong(says="Let one flush run at a time")
class LetsFlushesOvertake(Strategy):
    def flush(self, batch):
        return self.save_all(batch)

    def let_go(self, part):
        with self.lock:
            for number, entity in part.items():
                if self.waiting.get(number) is entity:
                    del self.waiting[number]


@wrong(says="Let one flush run at a time")
class StumblesOverAnotherFlush(Strategy):
    def flush(self, batch):
        return self.save_all(batch)


@wrong(says="Hold the lock around both")
class StoresBetweenTwoLocks(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        with self.lock:
            self.look_for_room(number)
        self.set(number, text)
        with self.lock:
            self.note(number, entity)


@wrong(says="Hold the lock around both")
class StoresAfterTheLock(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        with self.lock:
            self.look_for_room(number)
            before = self.waiting.get(number)
            self.note(number, entity)
        try:
            self.set(number, text)
        except Unavailable:
            with self.lock:
                if before is None:
                    del self.waiting[number]
                else:
                    self.note(number, before)
            raise


@wrong(says="Look for room and take it under one lock")
class LooksForRoomWithoutTheLock(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        self.look_for_room(number)
        with self.lock:
            self.set(number, text)
            self.note(number, entity)


@wrong(says="only if the id does not wait")
class StoresOverWhatWaits(Strategy):
    def keep(self, number, entity):
        with contextlib.suppress(Unavailable):
            self.set(number, self.pack(entity))


@wrong(says="another thread that wrote had to wait")
class HoldsTheLockWhileItLoads(Strategy):
    def __init__(self, *args):
        super().__init__(*args)
        self.lock = threading.RLock()

    def read(self, number):
        with self.lock:
            return super().read(number)


@wrong(says="when the turn of this flush has come")
class CopiesBeforeItsTurn(Strategy):
    def flush(self, batch):
        with self.lock:
            due = list(self.waiting.items())
        with self.flushing:
            for start in range(0, len(due), batch):
                part = dict(due[start : start + batch])
                self.source.save_many(part)
                self.let_go(part)
        return len(due)

    def let_go(self, part):
        with self.lock:
            for number, entity in part.items():
                if self.waiting.get(number) is entity:
                    del self.waiting[number]


@wrong(says="It waits until `save_many` has returned")
class TakesOutAndPutsBack(Strategy):
    def save_all(self, batch):
        with self.lock:
            due = list(self.waiting.items())
        for start in range(0, len(due), batch):
            part = dict(due[start : start + batch])
            self.let_go(part)
            try:
                self.source.save_many(part)
            except BaseException:
                with self.lock:
                    self.waiting = {**part, **self.waiting}
                raise
        return len(due)


@wrong(says="None is not stored")
class RemembersThatThereIsNothing(Strategy):
    def cached(self, number):
        entity = super().cached(number)
        if entity is None:
            with contextlib.suppress(Unavailable):
                self.backend.set(self.key(number), "absent", self.ttl / 10)
        return entity


@wrong(says="Keep the load out of both `try`")
class OneTryAroundAll(Strategy):
    def cached(self, number):
        try:
            text = self.backend.get(self.key(number))
            entity = None if text is None else self.unpack(text)
            if entity is None:
                entity = self.source.load(number)
                if entity is not None:
                    with self.lock:
                        if number not in self.waiting:
                            self.set(number, self.pack(entity))
        except Unavailable:
            entity = self.source.load(number)
        return entity


@wrong(says="was gone between two looks at it")
class LooksTwiceWithoutTheLock(Strategy):
    def read(self, number):
        if number in self.waiting:
            return self.waiting[number]
        return self.cached(number)


@wrong(says="is one step: do both under the lock")
class LetsGoWithoutTheLock(Strategy):
    def let_go(self, part):
        for number, entity in part.items():
            if self.waiting[number] is entity:
                del self.waiting[number]
