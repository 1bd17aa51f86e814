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


@right
def watch_and_multi(r, comment):
    import redis

    state, best, newest, count = keys_of(comment)
    while True:
        with r.pipeline(transaction=True) as pipe:
            try:
                pipe.watch(state)
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
                return
            except redis.WatchError:
                continue


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
