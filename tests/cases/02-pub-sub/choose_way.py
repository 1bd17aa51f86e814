from tests.cases import right, wrong

WAYS = {"q1": "pub/sub", "q2": "consumer group", "q3": "stream", "q4": "list"}


@right
def as_the_options_are_written():
    return dict(WAYS)


@right
def in_capitals_and_with_blanks():
    return {key: f" {way.title()} " for key, way in WAYS.items()}


@right
def in_another_order_with_capitals():
    return {"q4": "List", "q3": "Stream", "q2": "Consumer group", "q1": "Pub/Sub"}


@wrong(says="that nobody will ever read")
def cursors_in_a_stream():
    return WAYS | {"q1": "stream"}


@wrong(says="gives each position to one editor alone")
def cursors_in_a_list():
    return WAYS | {"q1": "list"}


@wrong(says="must confirm what is stale by then")
def cursors_in_a_group():
    return WAYS | {"q1": "consumer group"}


@wrong(says="the worker that dies with it takes it along")
def mails_in_a_list():
    return WAYS | {"q2": "list"}


@wrong(says="Every worker gets each e-mail and sends it")
def mails_by_pub_sub():
    return WAYS | {"q2": "pub/sub"}


@wrong(says="every worker sees every e-mail")
def mails_in_a_stream_without_a_group():
    return WAYS | {"q2": "stream"}


@wrong(says="each service would see a part")
def a_feed_divided_by_a_group():
    return WAYS | {"q3": "consumer group"}


@wrong(says="misses what is published meanwhile")
def a_feed_by_pub_sub():
    return WAYS | {"q3": "pub/sub"}


@wrong(says="the other four never see")
def a_feed_in_a_list():
    return WAYS | {"q3": "list"}


@wrong(says="confirmations that this work does not need")
def thumbnails_in_a_group():
    return WAYS | {"q4": "consumer group"}


@wrong(says="Without a group nothing divides the work")
def thumbnails_in_a_stream():
    return WAYS | {"q4": "stream"}


@wrong(says="All workers would make the same thumbnail")
def thumbnails_by_pub_sub():
    return WAYS | {"q4": "pub/sub"}


@wrong(says="q1 is 'pubsub'; the options are consumer group, list, pub/sub, stream")
def names_that_are_no_options():
    return WAYS | {"q1": "pubsub"}


@wrong(says="Return a dictionary such as {'q1': '...'}")
def a_list_of_answers():
    return list(WAYS.values())


@wrong(says="The dictionary has no text under 'q4'")
def leaves_one_out():
    return {key: way for key, way in WAYS.items() if key != "q4"}
