import json

from tests.cases import right, wrong


def record(player, game, score):
    return {"player": player, "game": game, "score": score}


@right
def dumps_and_publish(r, player, game, score):
    return r.publish("arcade:news", json.dumps(record(player, game, score)))


@right
def other_order_other_spacing_no_ascii(r, player, game, score):
    fields = {"score": score, "game": game, "player": player}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    return r.publish("arcade:news", text.encode())


@right
def by_a_pipeline(r, player, game, score):
    with r.pipeline() as pipe:
        pipe.publish("arcade:news", json.dumps(record(player, game, score)))
        (got,) = pipe.execute()
    return got


@right
def by_a_script(r, player, game, score):
    script = "return redis.call('PUBLISH', ARGV[1], ARGV[2])"
    return r.eval(script, 0, "arcade:news", json.dumps(record(player, game, score), indent=2))


@wrong(says="What was published is no JSON")
def python_notation(r, player, game, score):
    return r.publish("arcade:news", str(record(player, game, score)))


@wrong(says="What was published is no JSON")
def json_put_together_by_hand(r, player, game, score):
    text = f'{{"player": "{player}", "game": "{game}", "score": {score}}}'
    return r.publish("arcade:news", text)


@wrong(says="JSON twice over")
def json_of_json(r, player, game, score):
    return r.publish("arcade:news", json.dumps(json.dumps(record(player, game, score))))


@wrong(says="the record: expected {'player'")
def the_score_as_a_text(r, player, game, score):
    return r.publish("arcade:news", json.dumps(record(player, game, str(score))))


@wrong(says="the record: expected {'player'")
def a_list_of_values(r, player, game, score):
    return r.publish("arcade:news", json.dumps([player, game, score]))


@wrong(says="the record: expected {'player'")
def one_field_more(r, player, game, score):
    return r.publish("arcade:news", json.dumps(record(player, game, score) | {"kind": "record"}))


@wrong(says="the record: expected {'player'")
def the_example_typed_in(r, player, game, score):
    return r.publish("arcade:news", '{"player": "ada", "game": "pong", "score": 900}')


@wrong(says="the channel: expected 'arcade:news', got 'news'")
def without_the_prefix(r, player, game, score):
    return r.publish("news", json.dumps(record(player, game, score)))


@wrong(says="the channel: expected 'arcade:news', got 'arcade:news:")
def a_channel_for_each_game(r, player, game, score):
    return r.publish(f"arcade:news:{game}", json.dumps(record(player, game, score)))


@wrong(says="expected 'arcade:news', got '{")
def arguments_the_wrong_way_round(r, player, game, score):
    return r.publish(json.dumps(record(player, game, score)), "arcade:news")


@wrong(says="Nothing was published. A key is stored")
def a_list_for_a_channel(r, player, game, score):
    return r.rpush("arcade:news", json.dumps(record(player, game, score)))


@wrong(says="A key is stored, and who listens hears nothing")
def a_key_for_a_channel(r, player, game, score):
    r.set("arcade:news", json.dumps(record(player, game, score)))
    return 1


@wrong(says="3 messages were published for one record")
def a_message_for_each_field(r, player, game, score):
    return [
        r.publish("arcade:news", json.dumps({name: value}))
        for name, value in record(player, game, score).items()
    ][-1]


@wrong(says="got None, as from a function that ends without `return`")
def forgets_to_return(r, player, game, score):
    r.publish("arcade:news", json.dumps(record(player, game, score)))


@wrong(says="PUBLISH itself answers how many got the message")
def asks_how_many_listen_afterwards(r, player, game, score):
    r.publish("arcade:news", json.dumps(record(player, game, score)))
    return r.pubsub_numsub("arcade:news")[0][1]


@wrong(says="PUBLISH itself answers how many got the message")
def asks_how_many_listen_before(r, player, game, score):
    count = r.pubsub_numsub("arcade:news")[0][1]
    r.publish("arcade:news", json.dumps(record(player, game, score)))
    return count


@wrong(says="PUBLISH itself answers how many got the message")
def counts_both_kinds_in_a_second_trip(r, player, game, score):
    r.publish("arcade:news", json.dumps(record(player, game, score)))
    return r.pubsub_numsub("arcade:news")[0][1] + r.pubsub_numpat()


@wrong(says="PUBLISH itself answers how many got the message")
def always_one(r, player, game, score):
    r.publish("arcade:news", json.dumps(record(player, game, score)))
    return 1


@wrong(says="(bool instead of int)")
def whether_anybody_heard(r, player, game, score):
    return r.publish("arcade:news", json.dumps(record(player, game, score))) > 0


@wrong(says="(list instead of int)")
def the_replies_of_the_pipeline(r, player, game, score):
    text = json.dumps(record(player, game, score))
    return r.pipeline().publish("arcade:news", text).execute()


@wrong(says="returns the pipeline itself")
def a_pipeline_never_sent(r, player, game, score):
    return r.pipeline().publish("arcade:news", json.dumps(record(player, game, score)))


@wrong(says="raised DataError")
def publishes_the_dictionary(r, player, game, score):
    return r.publish("arcade:news", record(player, game, score))


@wrong(says="sends nothing to Redis")
def sends_nothing(r, player, game, score):
    return 0


@wrong(says="a channel needs none, it is only a name")
def makes_the_channel_first(r, player, game, score):
    r.set("arcade:news", "")
    return r.publish("arcade:news", json.dumps(record(player, game, score)))
