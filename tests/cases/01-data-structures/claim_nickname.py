import redis

from tests.cases import right, wrong


@right
def one_set(r, nickname, player):
    return bool(r.set(f"arcade:nickname:{nickname}", player, nx=True, ex=600))


@right
def watch_and_transaction(r, nickname, player):
    key = f"arcade:nickname:{nickname}"
    with r.pipeline() as pipe:
        try:
            pipe.watch(key)
            if pipe.exists(key):
                return False
            pipe.multi()
            pipe.setex(key, 600, player)
            pipe.execute()
        except redis.WatchError:
            return False
    return True


@right
def script(r, nickname, player):
    claim = r.register_script("""
        if redis.call('SETNX', KEYS[1], ARGV[1]) == 0 then return 0 end
        redis.call('EXPIRE', KEYS[1], 600)
        return 1
    """)
    return claim(keys=[f"arcade:nickname:{nickname}"], args=[player]) == 1


@wrong(says="Looking first and storing then leaves a gap")
def get_then_set(r, nickname, player):
    key = f"arcade:nickname:{nickname}"
    if r.get(key) is not None:
        return False
    r.set(key, player, ex=600)
    return True


@wrong(says="a crash between them leaves a nickname that never comes free again")
def setnx_then_expire(r, nickname, player):
    key = f"arcade:nickname:{nickname}"
    if not r.setnx(key, player):
        return False
    r.expire(key, 600)
    return True


@wrong(says="redis-py answers `None`, not `False`")
def none_for_taken(r, nickname, player):
    return r.set(f"arcade:nickname:{nickname}", player, nx=True, ex=600)


@wrong(says="SET overwrites unless you pass `nx=True`")
def overwrites_the_holder(r, nickname, player):
    return bool(r.set(f"arcade:nickname:{nickname}", player, ex=600))


@wrong(says="`ex` counts seconds, `px` milliseconds")
def milliseconds_for_seconds(r, nickname, player):
    return bool(r.set(f"arcade:nickname:{nickname}", player, nx=True, px=600))


@wrong(says="`xx=True` stores only where there is something already")
def xx_for_nx(r, nickname, player):
    return bool(r.set(f"arcade:nickname:{nickname}", player, xx=True, ex=600))


@wrong(says="A refused claim changed how long the holder keeps the name")
def a_refused_claim_prolongs(r, nickname, player):
    key = f"arcade:nickname:{nickname}"
    with r.pipeline() as pipe:
        pipe.setnx(key, player)
        pipe.expire(key, 600)
        return pipe.execute()[0]


@wrong(says="never expires: pass `ex=600`")
def forgets_the_time_to_live(r, nickname, player):
    return r.setnx(f"arcade:nickname:{nickname}", player)


@wrong(says="it is taken, and the answer is `False`")
def lets_the_watch_error_out(r, nickname, player):
    key = f"arcade:nickname:{nickname}"
    with r.pipeline() as pipe:
        pipe.watch(key)
        if pipe.exists(key):
            return False
        pipe.multi()
        pipe.setex(key, 600, player)
        pipe.execute()
    return True


@wrong(says="Besides arcade:nickname:")
def leaves_a_lock_behind(r, nickname, player):
    r.set(f"arcade:lock:{nickname}", player, nx=True, ex=10)
    return bool(r.set(f"arcade:nickname:{nickname}", player, nx=True, ex=600))
