from tests.cases import right, wrong

CHANNEL = "news:changes"


@right
def one_transaction(r, key, value, seconds):
    with r.pipeline() as pipe:
        pipe.set(key, value, ex=seconds)
        pipe.publish(CHANNEL, key)
        pipe.execute()


@right
def setex_in_a_chain(r, key, value, seconds):
    return r.pipeline().setex(key, seconds, value).publish(CHANNEL, key).execute()


@right
def told_first_in_one_transaction(r, key, value, seconds):
    r.pipeline(transaction=True).publish(CHANNEL, key).set(key, value).expire(
        key, seconds
    ).execute()


@right
def script(r, key, value, seconds):
    store = """
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
    return redis.call('PUBLISH', ARGV[3], KEYS[1])
    """
    return r.eval(store, 1, key, value, seconds, CHANNEL)


@right
def registered_script(r, key, value, seconds):
    store = r.register_script("""
    redis.call('SETEX', KEYS[1], ARGV[2], ARGV[1])
    redis.call('PUBLISH', ARGV[3], KEYS[1])
    """)
    store(keys=[key], args=[value, seconds, CHANNEL])


@right
def watched(r, key, value, seconds):
    def write(pipe):
        pipe.multi()
        pipe.set(key, value, ex=seconds).publish(CHANNEL, key)

    r.transaction(write, key)


@wrong(says="the value is stored, and nobody hears of the change")
def set_then_publish(r, key, value, seconds):
    r.set(key, value, ex=seconds)
    r.publish(CHANNEL, key)


@wrong(says="the change was told and not made")
def publish_then_set(r, key, value, seconds):
    r.publish(CHANNEL, key)
    r.set(key, value, ex=seconds)


@wrong(says="the value is stored, and nobody hears of the change")
def publish_after_the_transaction(r, key, value, seconds):
    with r.pipeline() as pipe:
        pipe.set(key, value)
        pipe.expire(key, seconds)
        pipe.execute()
    r.publish(CHANNEL, key)


@wrong(says="is stored and never expires")
def expire_after_the_transaction(r, key, value, seconds):
    r.pipeline().set(key, value).publish(CHANNEL, key).execute()
    r.expire(key, seconds)


@wrong(says="One trip, but no transaction")
def a_pipeline_without_a_transaction(r, key, value, seconds):
    r.pipeline(transaction=False).set(key, value, ex=seconds).publish(CHANNEL, key).execute()


@wrong(says="not the value: who hears it drops its copy")
def publishes_the_value(r, key, value, seconds):
    r.pipeline().set(key, value, ex=seconds).publish(CHANNEL, value).execute()


@wrong(says="the channel and the message: expected ('news:changes', ")
def publishes_to_the_key(r, key, value, seconds):
    r.pipeline().set(key, value, ex=seconds).publish(key, value).execute()


@wrong(says="the channel and the message: expected ('news:changes', ")
def publishes_to_another_channel(r, key, value, seconds):
    r.pipeline().set(key, value, ex=seconds).publish("changes", key).execute()


@wrong(says="Nobody was told")
def tells_nobody(r, key, value, seconds):
    r.set(key, value, ex=seconds)


@wrong(says="Nobody was told")
def a_list_for_a_channel(r, key, value, seconds):
    r.pipeline().set(key, value, ex=seconds).rpush(CHANNEL, key).execute()


@wrong(says="never expires: pass its time to live to SET")
def forgets_the_time_to_live(r, key, value, seconds):
    r.pipeline().set(key, value).publish(CHANNEL, key).execute()


@wrong(says="`px` counts milliseconds")
def milliseconds_for_seconds(r, key, value, seconds):
    r.pipeline().set(key, value, px=seconds).publish(CHANNEL, key).execute()


@wrong(says="the value of news:")
def deletes_in_place_of_storing(r, key, value, seconds):
    r.pipeline().delete(key).publish(CHANNEL, key).execute()


@wrong(says="returns the pipeline itself")
def forgets_to_execute(r, key, value, seconds):
    return r.pipeline().set(key, value, ex=seconds).publish(CHANNEL, key)


@wrong(says="expected '")
def forgets_to_execute_and_to_return(r, key, value, seconds):
    r.pipeline().set(key, value, ex=seconds).publish(CHANNEL, key)
