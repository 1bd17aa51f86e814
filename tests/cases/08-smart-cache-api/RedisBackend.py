import json
import time

import redis

from labkit.cache import Unavailable
from tests.cases import right, wrong

AWAY = redis.ConnectionError, redis.TimeoutError


class Backend:
    """A right answer, of which each wrong one below changes a method or two."""

    def __init__(self, r, prefix):
        self.r, self.prefix = r, prefix

    def name(self, key):
        return self.prefix + key

    def get(self, key):
        return self.run(self.r.get, self.name(key))

    def set(self, key, text, ttl):
        if ttl is None:
            self.run(self.r.set, self.name(key), text)
        elif ttl <= 0:
            self.delete(key)
        else:
            self.store(self.name(key), text, ttl)

    def store(self, name, text, ttl):
        self.run(self.r.set, name, text, px=max(1, int(ttl * 1000)))

    def delete(self, key):
        self.run(self.r.delete, self.name(key))

    def run(self, command, *args, **options):
        try:
            return command(*args, **options)
        except AWAY as error:
            raise Unavailable(str(error)) from error


@right
class OneHelper(Backend):
    pass


@right
class EachMethodOnItsOwn:
    def __init__(self, r, prefix):
        self.r = r
        self.prefix = prefix

    def get(self, key):
        try:
            return self.r.get(f"{self.prefix}{key}")
        except (redis.ConnectionError, redis.TimeoutError) as e:
            raise Unavailable from e

    def set(self, key, text, ttl):
        name = f"{self.prefix}{key}"
        try:
            if ttl is None:
                self.r.set(name, text)
            elif ttl <= 0:
                self.r.unlink(name)
            else:
                self.r.psetex(name, max(1, round(ttl * 1000)), text)
        except (redis.ConnectionError, redis.TimeoutError) as e:
            raise Unavailable("Redis is away") from e

    def delete(self, key):
        try:
            self.r.unlink(f"{self.prefix}{key}")
        except (redis.ConnectionError, redis.TimeoutError) as e:
            raise Unavailable(f"{e}") from e


@wrong(says="with nothing in between")
class PutsAColonBetween(Backend):
    def name(self, key):
        return f"{self.prefix}:{key}"


@wrong(says="with nothing in between")
class ForgetsThePrefix(Backend):
    def name(self, key):
        return key


@wrong(says="Store the text as it is")
class StoresJson(Backend):
    def set(self, key, text, ttl):
        super().set(key, json.dumps(text), ttl)

    def get(self, key):
        found = super().get(key)
        return None if found is None else json.loads(found)


@wrong(says="It is the text as it was set")
class TakesAnEmptyTextForNone(Backend):
    def get(self, key):
        return super().get(key) or None


@wrong(says="a key that never expires")
class SetsAndThenExpires(Backend):
    def store(self, name, text, ttl):
        self.run(self.r.set, name, text)
        self.run(self.r.pexpire, name, max(1, int(ttl * 1000)))


@wrong(says="One command is enough")
class APipelineOfTwo(Backend):
    def store(self, name, text, ttl):
        with self.r.pipeline() as pipe:
            pipe.set(name, text).pexpire(name, max(1, int(ttl * 1000)))
            self.run(pipe.execute)


@wrong(says="GET answers None where nothing is")
class LooksFirst(Backend):
    def get(self, key):
        return super().get(key) if self.run(self.r.exists, self.name(key)) else None


@wrong(says="The key never expires".lower())
class ForgetsTheTimeToLive(Backend):
    def store(self, name, text, ttl):
        self.run(self.r.set, name, text)


@wrong(says="`px=` takes milliseconds")
class WholeSeconds(Backend):
    def store(self, name, text, ttl):
        self.run(self.r.set, name, text, ex=max(1, round(ttl)))


@wrong(says="`px=` takes milliseconds")
class SecondsForMilliseconds(Backend):
    def store(self, name, text, ttl):
        self.run(self.r.set, name, text, px=max(1, int(ttl)))


@wrong(says="`px=` takes a whole number")
class AFraction(Backend):
    def store(self, name, text, ttl):
        self.run(self.r.set, name, text, px=ttl * 1000)


@wrong(says="send at least 1")
class NoTimeAtAll(Backend):
    def store(self, name, text, ttl):
        self.run(self.r.set, name, text, px=int(ttl * 1000))


@wrong(says="the server has its own")
class AMomentByItsOwnClock(Backend):
    def store(self, name, text, ttl):
        self.run(self.r.set, name, text, pxat=int((time.time() + ttl) * 1000) + 1)


@wrong(says="left it one")
class KeepsTheTimeToLive(Backend):
    def set(self, key, text, ttl):
        if ttl is None:
            self.run(self.r.set, self.name(key), text, keepttl=True)
        else:
            super().set(key, text, ttl)


@wrong(says="Its time is over")
class NoTimeIsForEver(Backend):
    def set(self, key, text, ttl):
        super().set(key, text, ttl or None)


@wrong(says="Its time is over")
class LeavesTheOldText(Backend):
    def set(self, key, text, ttl):
        if ttl is None or ttl > 0:
            super().set(key, text, ttl)


@wrong(says="whoever uses a backend knows no redis")
class LetsTheErrorThrough(Backend):
    def run(self, command, *args, **options):
        return command(*args, **options)


@wrong(says="means Python's own")
class CatchesItsNamesakes(Backend):
    def run(self, command, *args, **options):
        try:
            return command(*args, **options)
        except (ConnectionError, TimeoutError) as error:
            raise Unavailable(str(error)) from error


@wrong(says="`get` met redis.TimeoutError")
class ForgetsTheTimeout(Backend):
    def run(self, command, *args, **options):
        try:
            return command(*args, **options)
        except redis.ConnectionError as error:
            raise Unavailable(str(error)) from error


@wrong(says="Let it through as it is")
class TakesEveryErrorOfRedis(Backend):
    def run(self, command, *args, **options):
        try:
            return command(*args, **options)
        except redis.RedisError as error:
            raise Unavailable(str(error)) from error


@wrong(says="Let it through as it is")
class TakesWhatEnds(Backend):
    def run(self, command, *args, **options):
        try:
            return command(*args, **options)
        except redis.RedisError as error:
            if isinstance(error, AWAY):
                raise Unavailable(str(error)) from error
            raise
        except BaseException as error:
            raise Unavailable(str(error)) from error


@wrong(says="the caller takes that for an answer")
class AMissInstead(Backend):
    def run(self, command, *args, **options):
        try:
            return command(*args, **options)
        except AWAY:
            return None


@wrong(says="does not say what it came from")
class NotFromTheError(Backend):
    def run(self, command, *args, **options):
        try:
            return command(*args, **options)
        except AWAY as error:
            raise Unavailable(str(error))  # noqa: B904


@wrong(says="Raise at once")
class TriesAgain(Backend):
    def run(self, command, *args, **options):
        for last in (False, False, True):
            try:
                return command(*args, **options)
            except AWAY as error:
                if last:
                    raise Unavailable(str(error)) from error
        return None


@wrong(says="Expected `labkit.cache.Unavailable`")
class AnErrorOfItsOwn(Backend):
    def run(self, command, *args, **options):
        class Unavailable(Exception):
            pass

        try:
            return command(*args, **options)
        except AWAY as error:
            raise Unavailable(str(error)) from error


@wrong(says="sent nothing to Redis")
class RemembersInTheProcess(Backend):
    def __init__(self, r, prefix):
        super().__init__(r, prefix)
        self.texts = {}

    def get(self, key):
        if key not in self.texts:
            self.texts[key] = super().get(key)
        return self.texts[key]

    def set(self, key, text, ttl):
        self.texts[key] = text
        super().set(key, text, ttl)
