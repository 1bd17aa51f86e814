import json

from tests.cases import right, wrong


@right
def delete_hset_and_expire_in_one_pipeline(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    with r.pipeline() as pipe:
        pipe.delete(key)
        pipe.hset(key, mapping=fields)
        pipe.expire(key, ttl)
        pipe.execute()


@right
def field_by_field_in_one_pipeline(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    pipe = r.pipeline()
    pipe.unlink(key)
    for field, value in fields.items():
        pipe.hset(key, field, value)
    pipe.pexpire(key, ttl * 1000)
    return pipe.execute()


@right
def built_aside_and_renamed(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    with r.pipeline() as pipe:
        pipe.hset(f"{key}:new", mapping=fields)
        pipe.expire(f"{key}:new", ttl)
        pipe.rename(f"{key}:new", key)
        pipe.execute()


@right
def script(r, player_id, fields, ttl):
    save = r.register_script("""
        redis.call('DEL', KEYS[1])
        redis.call('HSET', KEYS[1], unpack(ARGV, 2))
        redis.call('EXPIRE', KEYS[1], ARGV[1])
    """)
    pairs = [part for pair in fields.items() for part in pair]
    save(keys=[f"arcade:player:{player_id}"], args=[ttl, *pairs])


@wrong(says="In one text, changing one field means")
def one_json_text(r, player_id, fields, ttl):
    r.set(f"arcade:player:{player_id}", json.dumps(fields), ex=ttl)


@wrong(says="a crash between them leaves a player that never expires")
def hset_then_expire(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    with r.pipeline() as pipe:
        pipe.delete(key)
        pipe.hset(key, mapping=fields)
        pipe.execute()
    r.expire(key, ttl)


@wrong(says="a crash between them leaves no player at all")
def delete_then_the_rest(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    r.delete(key)
    r.pipeline().hset(key, mapping=fields).expire(key, ttl).execute()


@wrong(says="HSET changes the fields it is given and leaves the others")
def stale_fields_stay(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    with r.pipeline() as pipe:
        pipe.hset(key, mapping=fields)
        pipe.expire(key, ttl)
        pipe.execute()


@wrong(says="Field by field, HSET made 3 trips")
def a_trip_for_each_field(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    r.delete(key)
    for field, value in fields.items():
        r.hset(key, field, value)
    r.expire(key, ttl)


@wrong(says="HSET takes no time to live")
def no_time_to_live(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    r.pipeline().delete(key).hset(key, mapping=fields).execute()


@wrong(says="EXPIRE counts seconds, PEXPIRE milliseconds")
def milliseconds_for_seconds(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    r.pipeline().delete(key).hset(key, mapping=fields).pexpire(key, ttl).execute()


@wrong(says="EXPIRE came when there was no key yet")
def expire_before_hset(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    r.pipeline().delete(key).expire(key, ttl).hset(key, mapping=fields).execute()


@wrong(says="Besides arcade:player:")
def keeps_an_index_nobody_asked_for(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    with r.pipeline() as pipe:
        pipe.delete(key)
        pipe.hset(key, mapping=fields)
        pipe.expire(key, ttl)
        pipe.sadd("arcade:players", player_id)
        pipe.execute()


@wrong(says="One trip, but no transaction")
def a_pipeline_without_a_transaction(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    with r.pipeline(transaction=False) as pipe:
        pipe.delete(key)
        pipe.hset(key, mapping=fields)
        pipe.expire(key, ttl)
        pipe.execute()


@wrong(says="HSET takes a dictionary as `mapping=fields`")
def the_dictionary_as_a_field(r, player_id, fields, ttl):
    key = f"arcade:player:{player_id}"
    r.pipeline().delete(key).hset(key, fields).expire(key, ttl).execute()
