import contextlib

from labkit.cache import Unavailable
from tests.cases import right, wrong


class Strategy:
    def __init__(self, backend, source, pack, unpack, ttl, name):
        self.backend = backend
        self.source = source
        self.pack = pack
        self.ttl = ttl
        self.name = name

    def key(self, number):
        return f"{self.name}:{number}"

    def drop(self, number):
        self.backend.delete(self.key(number))

    def save(self, number, entity):
        try:
            self.source.save(number, entity)
        except BaseException:
            self.drop(number)
            raise

    def keep(self, number, text):
        with contextlib.suppress(Unavailable):
            self.backend.set(self.key(number), text, self.ttl)

    def write(self, number, entity):
        text = self.pack(entity)
        self.drop(number)
        self.save(number, entity)
        self.keep(number, text)


@right
class InFourSteps(Strategy):
    pass


@right
class WithAFlagAndFinally(Strategy):
    def write(self, number, entity):
        key, text, saved = self.key(number), self.pack(entity), False
        self.backend.delete(key)
        try:
            self.source.save(number, entity)
            saved = True
        finally:
            if not saved:
                with contextlib.suppress(Unavailable):
                    self.backend.delete(key)
        try:
            self.backend.set(key, text, self.ttl)
        except Unavailable:
            return


@wrong(says="Take the old one out first")
class SavesAndSets(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        self.save(number, entity)
        self.keep(number, text)


@wrong(says="they have seen what never was")
class SetsFirst(Strategy):
    def write(self, number, entity):
        self.backend.set(self.key(number), self.pack(entity), self.ttl)
        self.save(number, entity)


@wrong(says="Store the new one after the save")
class LeavesItToTheNextReader(Strategy):
    def keep(self, number, text):
        pass


@wrong(says="Pack first")
class PacksWhenItStores(Strategy):
    def write(self, number, entity):
        self.drop(number)
        self.save(number, entity)
        self.keep(number, self.pack(entity))


@wrong(says="so nothing may be written")
class WritesThoughTheBackendIsAway(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        with contextlib.suppress(Unavailable):
            self.drop(number)
        self.save(number, entity)
        self.keep(number, text)


@wrong(says="which a reader had put back meanwhile")
class DeletesOnceOnly(Strategy):
    def save(self, number, entity):
        self.source.save(number, entity)


@wrong(says="which a reader had put back meanwhile")
class DeletesAgainAfterSomeErrors(Strategy):
    def save(self, number, entity):
        try:
            self.source.save(number, entity)
        except Exception:
            self.drop(number)
            raise


@wrong(says="`source.save` raised Unavailable, and your method returned")
class OneTryAroundBoth(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        self.drop(number)
        try:
            self.source.save(number, entity)
            self.backend.set(self.key(number), text, self.ttl)
        except Unavailable:
            return
        except BaseException:
            self.drop(number)
            raise


@wrong(says="the write stands, so return")
class RaisesThoughTheWriteStands(Strategy):
    def keep(self, number, text):
        self.backend.set(self.key(number), text, self.ttl)


@wrong(says="catch Unavailable and nothing else")
class HidesEveryErrorAtTheEnd(Strategy):
    def keep(self, number, text):
        with contextlib.suppress(Exception):
            self.backend.set(self.key(number), text, self.ttl)


@wrong(says="and your method returned None: it is the caller's")
class SwallowsTheErrorOfTheSave(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        self.drop(number)
        try:
            self.source.save(number, entity)
        except Exception:
            self.drop(number)
            return
        self.keep(number, text)


@wrong(says="holds the new one")
class StoresWhateverTheSaveDoes(Strategy):
    def write(self, number, entity):
        text = self.pack(entity)
        self.drop(number)
        try:
            self.source.save(number, entity)
        finally:
            self.keep(number, text)


@wrong(says="its time to live is None")
class StoresForEver(Strategy):
    def keep(self, number, text):
        with contextlib.suppress(Unavailable):
            self.backend.set(self.key(number), text, None)


@wrong(says="Save it once")
class SavesAgainAfterATimeout(Strategy):
    def save(self, number, entity):
        try:
            self.source.save(number, entity)
        except TimeoutError:
            super().save(number, entity)
        except BaseException:
            self.drop(number)
            raise


@wrong(says="the write stands, so return")
class DeletesWhereItCannotSet(Strategy):
    def keep(self, number, text):
        try:
            self.backend.set(self.key(number), text, self.ttl)
        except Unavailable:
            self.drop(number)
