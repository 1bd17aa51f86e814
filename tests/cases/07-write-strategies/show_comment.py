import contextlib
import re

import redis

from tests.cases import right, wrong

SCRIPT = """
local version = redis.call('HGET', KEYS[1], 'version')
if version and tonumber(version) >= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '1' then
  redis.call('DECRBY', KEYS[4], redis.call('ZREM', KEYS[2], ARGV[1]))
  redis.call('ZREM', KEYS[3], ARGV[1])
else
  redis.call('INCRBY', KEYS[4], redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1]))
  redis.call('ZADD', KEYS[3], ARGV[5], ARGV[1])
end
redis.call('HSET', KEYS[1], 'version', ARGV[2])
return 1
"""


def keys_of(comment):
    views = f"news:comments:{comment['article']}"
    return [f"news:comment:{comment['id']}", f"{views}:best", f"{views}:newest", f"{views}:count"]


def run(r, script, comment):
    hidden = "1" if comment["hidden"] else "0"
    arguments = [comment["version"], hidden, comment["score"], comment["posted_at"]]
    r.eval(script, 4, *keys_of(comment), comment["id"], *arguments)


@right
def one_script(r, comment):
    run(r, SCRIPT, comment)


def try_to_watch(r, comment, watched=0):
    state, best, newest, count = keys = keys_of(comment)
    with r.pipeline(transaction=True) as pipe:
        pipe.watch(keys[watched])
        version, shown = pipe.hmget(state, "version", "shown")
        if version is not None and int(version) >= comment["version"]:
            return
        pipe.multi()
        if comment["hidden"]:
            pipe.zrem(best, comment["id"])
            pipe.zrem(newest, comment["id"])
        else:
            pipe.zadd(best, {comment["id"]: comment["score"]})
            pipe.zadd(newest, {comment["id"]: comment["posted_at"]})
        pipe.incrby(count, (not comment["hidden"]) - (shown == "1"))
        shown = "0" if comment["hidden"] else "1"
        pipe.hset(state, mapping={"version": comment["version"], "shown": shown})
        pipe.execute()


def until_it_succeeds(r, comment, watched=0):
    while True:
        try:
            return try_to_watch(r, comment, watched)
        except redis.WatchError:
            continue


@right
def watch_and_multi(r, comment):
    until_it_succeeds(r, comment)


@wrong(says="WATCH of the hash")
def watches_the_set_and_not_the_hash(r, comment):
    until_it_succeeds(r, comment, watched=1)


@wrong(says="WATCH of the hash")
def watches_the_count_and_not_the_hash(r, comment):
    until_it_succeeds(r, comment, watched=3)


@wrong(says="Look and write in one step")
def counts_the_set_in_a_second_trip(r, comment):
    run(r, re.sub(r"redis.call\('(DECR|INCR)BY', KEYS\[4\], (.*)\)\n", r"\2\n", SCRIPT), comment)
    _, best, _, count = keys_of(comment)
    r.set(count, r.zcard(best))


@right
def a_registered_script(r, comment):
    hidden = "1" if comment["hidden"] else "0"
    arguments = [comment["version"], hidden, comment["score"], comment["posted_at"]]
    r.register_script(SCRIPT)(keys=keys_of(comment), args=[comment["id"], *arguments])


@wrong(says="from the beginning again after a WatchError")
def gives_up_when_somebody_came_in_between(r, comment):
    with contextlib.suppress(redis.WatchError):
        try_to_watch(r, comment)


@wrong(says="The version is part of that step")
def stores_the_version_in_a_second_trip(r, comment):
    run(r, SCRIPT.replace("redis.call('HSET', KEYS[1], 'version', ARGV[2])", ""), comment)
    r.hset(keys_of(comment)[0], "version", comment["version"])


@wrong(says="changes nothing. Compare versions as numbers")
def applies_another_state_of_the_same_version(r, comment):
    run(r, SCRIPT.replace(">=", ">"), comment)


@wrong(says="The count changes only when a comment comes into the sets or leaves them")
def counts_every_state(r, comment):
    counted = "redis.call('INCRBY', KEYS[4], redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1]))"
    each = "redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1]) redis.call('INCR', KEYS[4])"
    script = SCRIPT.replace(counted, each)
    run(r, script, comment)


@wrong(says="changes nothing. Compare versions as numbers")
def ignores_versions(r, comment):
    run(r, SCRIPT.replace("tonumber(version) >= tonumber(ARGV[2])", "false"), comment)


@wrong(says="changes nothing. Compare versions as numbers")
def compares_versions_as_texts(r, comment):
    run(r, SCRIPT.replace("tonumber(version) >= tonumber(ARGV[2])", "version >= ARGV[2]"), comment)


@wrong(says="remember that of a hidden comment too")
def forgets_the_version_of_what_is_hidden(r, comment):
    script = SCRIPT.replace(
        "  redis.call('ZREM', KEYS[3], ARGV[1])\n",
        "  redis.call('ZREM', KEYS[3], ARGV[1])\n  redis.call('DEL', KEYS[1])\n  return 1\n",
    )
    run(r, script, comment)


@wrong(says="Nobody sees it.")
def shows_what_is_hidden(r, comment):
    run(r, SCRIPT.replace("ARGV[3] == '1'", "false"), comment)


@wrong(says="news:comments:")
def forgets_one_of_the_sets(r, comment):
    run(r, SCRIPT.replace("  redis.call('ZADD', KEYS[3], ARGV[5], ARGV[1])\n", ""), comment)


@wrong(says="Look and write in one step")
def looks_first_and_writes_then(r, comment):
    state, best, newest, count = keys_of(comment)
    version = r.hget(state, "version")
    if version is not None and int(version) >= comment["version"]:
        return
    shown = r.zscore(best, comment["id"]) is not None
    with r.pipeline(transaction=True) as pipe:
        if comment["hidden"]:
            pipe.zrem(best, comment["id"])
            pipe.zrem(newest, comment["id"])
        else:
            pipe.zadd(best, {comment["id"]: comment["score"]})
            pipe.zadd(newest, {comment["id"]: comment["posted_at"]})
        pipe.incrby(count, (not comment["hidden"]) - shown)
        pipe.hset(state, mapping={"version": comment["version"]})
        pipe.execute()


@wrong(says="Change what the one comment changes, and leave the others alone")
def counts_the_set_anew_from_every_comment(r, comment):
    run(r, SCRIPT, comment)
    for number in r.zrange(keys_of(comment)[1], 0, -1):
        r.hget(f"news:comment:{number}", "version")


@wrong(says="reads the view, which grows")
def reads_the_whole_view(r, comment):
    run(r, SCRIPT, comment)
    r.zrange(keys_of(comment)[1], 0, -1)


@wrong(says="reads the view, which grows")
def reads_the_whole_view_in_its_script(r, comment):
    run(r, "local before = #redis.call('ZRANGE', KEYS[2], 0, -1)" + SCRIPT, comment)


@wrong(says="reads the view, which grows")
def registers_a_script_that_reads_the_whole_view(r, comment):
    hidden = "1" if comment["hidden"] else "0"
    arguments = [comment["version"], hidden, comment["score"], comment["posted_at"]]
    script = r.register_script('redis.call("zrange", KEYS[2], 0, -1)' + SCRIPT)
    script(keys=keys_of(comment), args=[comment["id"], *arguments])
