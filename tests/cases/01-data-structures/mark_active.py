from tests.cases import right, wrong


@right
def setbit_and_bitcount_in_one_pipeline(r, day, player_id):
    key = f"arcade:active:{day}"
    with r.pipeline() as pipe:
        pipe.setbit(key, player_id, 1)
        pipe.bitcount(key)
        return pipe.execute()[-1]


@right
def script(r, day, player_id):
    mark = r.register_script("""
        redis.call('SETBIT', KEYS[1], ARGV[1], 1)
        return redis.call('BITCOUNT', KEYS[1])
    """)
    return mark(keys=[f"arcade:active:{day}"], args=[player_id])


@right
def bitfield(r, day, player_id):
    key = f"arcade:active:{day}"
    pipe = r.pipeline(transaction=False)
    pipe.execute_command("BITFIELD", key, "SET", "u1", player_id, 1)
    pipe.bitcount(key, 0, -1)
    _, count = pipe.execute()
    return count


@wrong(says="The same player came twice and was counted twice")
def counts_visits(r, day, player_id):
    return r.incr(f"arcade:active:{day}")


@wrong(says="several bytes a player, where a bit tells as much")
def keeps_a_set(r, day, player_id):
    key = f"arcade:active:{day}"
    return r.pipeline().sadd(key, player_id).scard(key).execute()[-1]


@wrong(says="A HyperLogLog only estimates")
def keeps_a_hyperloglog(r, day, player_id):
    key = f"arcade:active:{day}"
    return r.pipeline().pfadd(key, player_id).pfcount(key).execute()[-1]


@wrong(says="Marking and then counting are two trips")
def marks_and_then_counts(r, day, player_id):
    key = f"arcade:active:{day}"
    r.setbit(key, player_id, 1)
    return r.bitcount(key)


@wrong(says="SETBIT answers what the bit was before")
def returns_the_old_bit(r, day, player_id):
    key = f"arcade:active:{day}"
    return r.pipeline().setbit(key, player_id, 1).bitcount(key).execute()[0]


@wrong(says="at the player's own number")
def sets_the_next_bit(r, day, player_id):
    key = f"arcade:active:{day}"
    return r.pipeline().setbit(key, player_id + 1, 1).bitcount(key).execute()[-1]


@wrong(says="bytes; a bit for each number")
def spends_a_byte_a_player(r, day, player_id):
    key = f"arcade:active:{day}"
    mark = r.register_script("""
        redis.call('SETBIT', KEYS[1], ARGV[1], 1)
        redis.call('SETBIT', KEYS[1], 8 * ARGV[1] + 100000, 1)
        return redis.call('BITCOUNT', KEYS[1]) / 2
    """)
    return mark(keys=[key], args=[player_id])


@wrong(says="one reply for each command")
def returns_every_reply(r, day, player_id):
    key = f"arcade:active:{day}"
    return r.pipeline().setbit(key, player_id, 1).bitcount(key).execute()


@wrong(says="as from a function that ends without `return`")
def returns_nothing(r, day, player_id):
    key = f"arcade:active:{day}"
    r.pipeline().setbit(key, player_id, 1).bitcount(key).execute()


@wrong(says="what is stored is arcade:active:today")
def one_key_for_every_day(r, day, player_id):
    key = "arcade:active:today"
    return r.pipeline().setbit(key, player_id, 1).bitcount(key).execute()[-1]
