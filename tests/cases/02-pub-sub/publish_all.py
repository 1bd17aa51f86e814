import itertools

from tests.cases import right, wrong


@right
def islice(r, channel, texts, size):
    deliveries = 0
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        with r.pipeline(transaction=False) as pipe:
            for text in batch:
                pipe.publish(channel, text)
            deliveries += sum(pipe.execute())
    return deliveries


@right
def one_pipeline_that_is_sent_when_full(r, channel, texts, size):
    deliveries = 0
    pipe = r.pipeline()
    for text in texts:
        pipe.publish(channel, text)
        if len(pipe) == size:
            deliveries += sum(pipe.execute())
    return deliveries + sum(pipe.execute())


@right
def batches_by_a_generator(r, channel, texts, size):
    def batches():
        batch = []
        for text in texts:
            batch.append(text)
            if len(batch) >= size:
                yield batch
                batch = []
        if batch:
            yield batch

    def send(batch):
        pipe = r.pipeline(transaction=False)
        for text in batch:
            pipe.publish(channel, text)
        return pipe.execute()

    return sum(got for batch in batches() for got in send(batch))


@right
def zip_longest_and_filtered(r, channel, texts, size):
    total = 0
    for batch in itertools.zip_longest(*[iter(texts)] * size):
        pipe = r.pipeline(transaction=True)
        for text in batch:
            if text is not None:
                pipe.publish(channel, text)
        total += sum(pipe.execute())
    return total


@right
def grouped_by_number(r, channel, texts, size):
    total = 0
    for _, batch in itertools.groupby(enumerate(texts), key=lambda pair: pair[0] // size):
        with r.pipeline(transaction=False) as pipe:
            for _, text in batch:
                pipe.publish(channel, text)
            total += sum(pipe.execute())
    return total


@wrong(says="A generator may be longer than memory")
def all_of_them_in_a_list(r, channel, texts, size):
    texts = list(texts)
    total = 0
    for start in range(0, len(texts), size):
        pipe = r.pipeline(transaction=False)
        for text in texts[start : start + size]:
            pipe.publish(channel, text)
        total += sum(pipe.execute())
    return total


@wrong(says="a generator has no length and no slices")
def slices(r, channel, texts, size):
    total = 0
    for start in range(0, len(texts), size):
        pipe = r.pipeline(transaction=False)
        for text in texts[start : start + size]:
            pipe.publish(channel, text)
        total += sum(pipe.execute())
    return total


@wrong(says="A generator may be longer than memory")
def one_pipeline_for_all(r, channel, texts, size):
    pipe = r.pipeline(transaction=False)
    for text in texts:
        pipe.publish(channel, text)
    return sum(pipe.execute())


@wrong(says="fit into 7 round trips; your answer made")
def one_at_a_time(r, channel, texts, size):
    return sum(r.publish(channel, text) for text in texts)


@wrong(says="fit into 7 round trips; your answer made")
def a_pipeline_for_each(r, channel, texts, size):
    total = 0
    for text in texts:
        pipe = r.pipeline()
        pipe.publish(channel, text)
        total += pipe.execute()[0]
    return total


@wrong(says="fit into 7 round trips; your answer made")
def batches_one_too_small(r, channel, texts, size):
    total = 0
    texts = iter(texts)
    while batch := list(itertools.islice(texts, max(1, size - 1))):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        total += sum(pipe.execute())
    return total


@wrong(says="A pipeline held ")
def batches_one_too_large(r, channel, texts, size):
    total = 0
    pipe = r.pipeline()
    for text in texts:
        pipe.publish(channel, text)
        if len(pipe) > size:
            total += sum(pipe.execute())
    return total + sum(pipe.execute())


@wrong(says="what does not fill a batch has to go, too")
def forgets_the_last_batch(r, channel, texts, size):
    total = 0
    pipe = r.pipeline()
    for text in texts:
        pipe.publish(channel, text)
        if len(pipe) == size:
            total += sum(pipe.execute())
    return total


@wrong(says="what does not fill a batch has to go, too")
def zip_cuts_the_rest_off(r, channel, texts, size):
    total = 0
    for batch in zip(*[iter(texts)] * size, strict=False):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        total += sum(pipe.execute())
    return total


@wrong(says="raised DataError")
def zip_longest_publishes_nothing_too(r, channel, texts, size):
    total = 0
    for batch in itertools.zip_longest(*[iter(texts)] * size):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        total += sum(pipe.execute())
    return total


@wrong(says="what a subscriber got of")
def loses_the_text_that_it_looks_at(r, channel, texts, size):
    total = 0
    texts = iter(texts)
    while next(texts, None) is not None:
        pipe = r.pipeline()
        for text in itertools.islice(texts, size):
            pipe.publish(channel, text)
        total += sum(pipe.execute())
    return total


@wrong(says="what a subscriber got of")
def backwards_within_a_batch(r, channel, texts, size):
    total = 0
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline()
        while batch:
            pipe.publish(channel, batch.pop())
        total += sum(pipe.execute())
    return total


@wrong(says="Add up what PUBLISH answered")
def counts_the_texts(r, channel, texts, size):
    total = 0
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        pipe.execute()
        total += len(batch)
    return total


@wrong(says="Add up what PUBLISH answered")
def the_first_answer_times_the_texts(r, channel, texts, size):
    answers, count = [], 0
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        answers += pipe.execute()
        count += len(batch)
    return answers[0] * count if answers else 0


@wrong(says="Add up what PUBLISH answered")
def the_last_batch_alone(r, channel, texts, size):
    total = 0
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        total = sum(pipe.execute())
    return total


@wrong(says="Add up what PUBLISH answered")
def the_most_that_heard_one(r, channel, texts, size):
    most = 0
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        most = max(most, *pipe.execute())
    return most


@wrong(says="`pipe.execute()` answers a list of numbers")
def all_answers(r, channel, texts, size):
    answers = []
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        answers += pipe.execute()
    return answers


@wrong(says="got None, as from a function that ends without `return`")
def returns_nothing(r, channel, texts, size):
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        pipe.execute()


@wrong(says="a generator runs nothing until somebody goes through it")
def yields(r, channel, texts, size):
    texts = iter(texts)
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline()
        for text in batch:
            pipe.publish(channel, text)
        yield sum(pipe.execute())


@wrong(says="does its loop ever end?")
def no_iterator_so_always_the_first(r, channel, texts, size):
    total = 0
    while batch := list(itertools.islice(texts, size)):
        pipe = r.pipeline(transaction=False)
        for text in batch:
            pipe.publish(channel, text)
        total += sum(pipe.execute())
    return total


@wrong(says="does its loop ever end?", waits=True)
def never_stops_at_an_empty_batch(r, channel, texts, size):
    total = 0
    texts = iter(texts)
    while True:
        pipe = r.pipeline(transaction=False)
        for text in itertools.islice(texts, size):
            pipe.publish(channel, text)
        total += sum(pipe.execute())


@wrong(says="a list is no iterator before `iter(texts)`")
def next_of_a_list(r, channel, texts, size):
    total = 0
    pipe = r.pipeline()
    while (text := next(texts, None)) is not None:
        pipe.publish(channel, text)
        if len(pipe) == size:
            total += sum(pipe.execute())
    return total + sum(pipe.execute())


@wrong(says="what a subscriber got of")
def stops_at_an_empty_text(r, channel, texts, size):
    total, batch = 0, []
    for text in texts:
        if not text:
            break
        batch.append(text)
        if len(batch) == size:
            total += sent(r, channel, batch)
            batch = []
    return total + (sent(r, channel, batch) if batch else 0)


def sent(r, channel, batch):
    with r.pipeline(transaction=False) as pipe:
        for text in batch:
            pipe.publish(channel, text)
        return sum(pipe.execute())
