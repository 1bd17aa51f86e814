import contextlib

from labkit.cache import Unavailable
from tests.cases import right, wrong

ABSENT = "absent"


class Strategy:
    def __init__(self, backend, source, pack, unpack, ttl, name):
        self.backend = backend
        self.source = source
        self.pack = pack
        self.unpack = unpack
        self.ttl = ttl
        self.name = name

    def key(self, number):
        return f"{self.name}:{number}"

    def look(self, number):
        try:
            return self.backend.get(self.key(number))
        except Unavailable:
            return None

    def keep(self, number, entity):
        try:
            if entity is None:
                self.backend.set(self.key(number), ABSENT, self.ttl / 10)
            else:
                self.backend.set(self.key(number), self.pack(entity), self.ttl)
        except Unavailable:
            pass

    def read(self, number):
        text = self.look(number)
        if text == ABSENT:
            return None
        entity = None if text is None else self.unpack(text)
        if entity is not None:
            return entity
        return self.loaded(number)

    def loaded(self, number):
        entity = self.source.load(number)
        self.keep(number, entity)
        return entity

    def write(self, number, entity):
        try:
            self.source.save(number, entity)
        finally:
            self.backend.delete(self.key(number))


@right
class InThreeSteps(Strategy):
    pass


@right
class InOneMethodEach(Strategy):
    def read(self, number):
        answers = True
        try:
            text = self.backend.get(self.key(number))
        except Unavailable:
            text, answers = None, False
        if text is not None:
            if text == ABSENT:
                return None
            entity = self.unpack(text)
            if entity is not None:
                return entity
        entity = self.source.load(number)
        if answers:
            text, ttl = (
                (ABSENT, self.ttl * 0.1) if entity is None else (self.pack(entity), self.ttl)
            )
            with contextlib.suppress(Unavailable):
                self.backend.set(self.key(number), text, ttl=ttl)
        return entity

    def write(self, number, entity):
        try:
            self.source.save(number, entity)
        except BaseException:
            self.backend.delete(self.key(number))
            raise
        self.backend.delete(self.key(number))


@right
class DeletesWhatItCannotRead(Strategy):
    def read(self, number):
        text = self.look(number)
        if text not in (None, ABSENT) and self.unpack(text) is None:
            with contextlib.suppress(Unavailable):
                self.backend.delete(self.key(number))
        return super().read(number) if text is None else self.after(number, text)

    def after(self, number, text):
        if text == ABSENT:
            return None
        entity = self.unpack(text)
        return self.loaded(number) if entity is None else entity


@wrong(says="A miss was loaded, and nothing stands under")
class DoesNotKeepWhatItLoads(Strategy):
    def keep(self, number, entity):
        pass


@wrong(says="an entity may be false: compare with None")
class TakesAnEmptyEntityForNone(Strategy):
    def read(self, number):
        text = self.look(number)
        if text == ABSENT:
            return None
        entity = self.unpack(text) if text else None
        return entity or self.loaded(number)


@wrong(says="Remember that too, as the text ABSENT")
class ForgetsThatThereIsNothing(Strategy):
    def keep(self, number, entity):
        if entity is not None:
            super().keep(number, entity)


@wrong(says="its time to live is")
class RemembersNothingAsLong(Strategy):
    def keep(self, number, entity):
        with contextlib.suppress(Unavailable):
            text = ABSENT if entity is None else self.pack(entity)
            self.backend.set(self.key(number), text, self.ttl)


@wrong(says="with 'absent' under its key")
class UnpacksTheMark(Strategy):
    def read(self, number):
        text = self.look(number)
        entity = None if text is None else self.unpack(text)
        return self.loaded(number) if entity is None else entity


@wrong(says="That is a miss: load it")
class TakesUnreadableForNothing(Strategy):
    def read(self, number):
        text = self.look(number)
        if text is None:
            return self.loaded(number)
        return None if text == ABSENT else self.unpack(text)


@wrong(says="Replace it, or every reader loads")
class LeavesWhatItCannotRead(Strategy):
    def read(self, number):
        text = self.look(number)
        if text in (None, ABSENT):
            return super().read(number)
        entity = self.unpack(text)
        return self.source.load(number) if entity is None else entity


@wrong(says="a read goes on without")
class FailsWithTheBackend(Strategy):
    def look(self, number):
        return self.backend.get(self.key(number))


@wrong(says="`set` of the backend raised it")
class FailsWhenItCannotKeep(Strategy):
    def keep(self, number, entity):
        text, ttl = (ABSENT, self.ttl / 10) if entity is None else (self.pack(entity), self.ttl)
        self.backend.set(self.key(number), text, ttl)


@wrong(says="Keep the load out of both `try`")
class OneTryAroundAll(Strategy):
    def look(self, number):
        return self.backend.get(self.key(number))

    def keep(self, number, entity):
        text, ttl = (ABSENT, self.ttl / 10) if entity is None else (self.pack(entity), self.ttl)
        self.backend.set(self.key(number), text, ttl)

    def read(self, number):
        try:
            return super().read(number)
        except Unavailable:
            return self.source.load(number)


@wrong(says="that is no miss, and the caller's")
class TakesAnErrorForNothing(Strategy):
    def loaded(self, number):
        try:
            entity = self.source.load(number)
        except Exception:
            entity = None
        self.keep(number, entity)
        return entity


@wrong(says="catch Unavailable and nothing else")
class CatchesEverything(Strategy):
    def look(self, number):
        try:
            return self.backend.get(self.key(number))
        except Exception:
            return None


@wrong(says="once the backend has let go of it")
class KeepsThemItself(Strategy):
    def __init__(self, *args):
        super().__init__(*args)
        self.known = {}

    def loaded(self, number):
        if number not in self.known:
            self.known[number] = super().loaded(number)
        return self.known[number]


@wrong(says="A hit is one `get` and nothing else")
class ProlongsAtEveryHit(Strategy):
    def read(self, number):
        entity = super().read(number)
        self.keep(number, entity)
        return entity


@wrong(says="save first, and then delete")
class DeletesFirst(Strategy):
    def write(self, number, entity):
        self.backend.delete(self.key(number))
        self.source.save(number, entity)


@wrong(says="delete, do not set")
class StoresTheNewOne(Strategy):
    def write(self, number, entity):
        self.source.save(number, entity)
        self.keep(number, entity)


@wrong(says="whichever way `save` ends")
class DeletesAfterSuccessOnly(Strategy):
    def write(self, number, entity):
        self.source.save(number, entity)
        self.backend.delete(self.key(number))


@wrong(says="whichever way `save` ends")
class ForgetsTheCopy(Strategy):
    def write(self, number, entity):
        self.source.save(number, entity)


@wrong(says="`source.save` raised")
class SwallowsTheErrorOfTheSave(Strategy):
    def write(self, number, entity):
        with contextlib.suppress(Exception):
            self.source.save(number, entity)
        self.backend.delete(self.key(number))


@wrong(says="somebody has to know")
class HidesThatTheOldOneStays(Strategy):
    def write(self, number, entity):
        try:
            self.source.save(number, entity)
        finally:
            with contextlib.suppress(Unavailable):
                self.backend.delete(self.key(number))


@wrong(says="nothing stands under")
class KeysWithoutTheName(Strategy):
    def key(self, number):
        return str(number)


@wrong(says="`backend.delete` was called 2 times")
class DeletesBeforeAndAfter(Strategy):
    def write(self, number, entity):
        self.backend.delete(self.key(number))
        super().write(number, entity)


@wrong(says="`backend.delete` was called 2 times")
class DeletesTwiceAfterAnError(Strategy):
    def write(self, number, entity):
        try:
            super().write(number, entity)
        except BaseException:
            self.backend.delete(self.key(number))
            raise
