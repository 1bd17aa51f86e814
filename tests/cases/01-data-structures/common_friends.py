from tests.cases import right, wrong


@right
def sinter(r, player, other):
    return sorted(r.sinter(f"arcade:friends:{player}", f"arcade:friends:{other}"))


@right
def sinter_on_a_pipeline(r, player, other):
    with r.pipeline(transaction=False) as pipe:
        pipe.sinter([f"arcade:friends:{player}", f"arcade:friends:{other}"])
        (common,) = pipe.execute()
    return sorted(common)


@right
def script(r, player, other):
    common = r.register_script("return redis.call('SINTER', KEYS[1], KEYS[2])")
    return sorted(common(keys=[f"arcade:friends:{player}", f"arcade:friends:{other}"]))


@right
def sinterstore_that_tidies_up(r, player, other):
    kept = f"arcade:common:{player}:{other}"
    with r.pipeline() as pipe:
        pipe.sinterstore(kept, f"arcade:friends:{player}", f"arcade:friends:{other}")
        pipe.smembers(kept)
        pipe.delete(kept)
        return sorted(pipe.execute()[1])


@wrong(says="SMEMBERS carries both sets to Python")
def intersects_in_python(r, player, other):
    with r.pipeline() as pipe:
        pipe.smembers(f"arcade:friends:{player}")
        pipe.smembers(f"arcade:friends:{other}")
        mine, theirs = pipe.execute()
    return sorted(mine & theirs)


@wrong(says="so sort the answer")
def unsorted(r, player, other):
    # Reversed, as the order of a set could be the right one by chance.
    common = r.sinter(f"arcade:friends:{player}", f"arcade:friends:{other}")
    return sorted(common, reverse=True)


@wrong(says="A set has no order")
def returns_a_set(r, player, other):
    return r.sinter(f"arcade:friends:{player}", f"arcade:friends:{other}")


@wrong(says="SUNION joins two sets")
def union(r, player, other):
    return sorted(r.sunion(f"arcade:friends:{player}", f"arcade:friends:{other}"))


@wrong(says="SDIFF takes away")
def difference(r, player, other):
    return sorted(r.sdiff(f"arcade:friends:{player}", f"arcade:friends:{other}"))


@wrong(says="is left behind: SINTERSTORE keeps its result")
def leaves_the_result_behind(r, player, other):
    kept = f"arcade:common:{player}:{other}"
    with r.pipeline() as pipe:
        pipe.sinterstore(kept, f"arcade:friends:{player}", f"arcade:friends:{other}")
        pipe.smembers(kept)
        return sorted(pipe.execute()[1])


@wrong(says="Asking for each friend singly")
def asks_for_each_friend(r, player, other):
    friends = r.smembers(f"arcade:friends:{player}")
    return sorted(friend for friend in friends if r.sismember(f"arcade:friends:{other}", friend))


@wrong(says="Your answer changed the friends")
def stores_over_the_friends(r, player, other):
    mine = f"arcade:friends:{player}"
    common = r.eval(
        """
        redis.call('SINTERSTORE', KEYS[1], KEYS[1], KEYS[2])
        return redis.call('SMEMBERS', KEYS[1])
        """,
        2,
        mine,
        f"arcade:friends:{other}",
    )
    return sorted(common)


@wrong(says="got None")
def none_for_strangers(r, player, other):
    return sorted(r.sinter(f"arcade:friends:{player}", f"arcade:friends:{other}")) or None
