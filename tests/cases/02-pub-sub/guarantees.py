from tests.cases import right, wrong


def everyone(make):
    way = make()
    ada, bob = way.reader("ada"), way.reader("bob")
    way.send("to all")
    return [ada.take(), bob.take()] == ["to all", "to all"]


def kept(make):
    way = make()
    way.send("early")
    return way.reader("late").take() == "early"


def again(make):
    way = make()
    reader = way.reader("ada")
    way.send("in hand")
    reader.take()
    reader.crash()
    return way.reader("ada").take() == "in hand"


def answer(make, everyone=everyone, kept=kept, again=again):
    return {"everyone": everyone(make), "kept": kept(make), "again": again(make)}


@right
def a_fresh_way_for_each(make):
    return answer(make)


@right
def one_way_emptied_each_time(make):
    def drain(reader):
        texts = []
        while (text := reader.take()) is not None:
            texts.append(text)
        return texts

    def finish(reader):
        for text in drain(reader):
            reader.done(text)

    way = make()
    ada, bob = way.reader("ada"), way.reader("bob")
    way.send("one")
    got = [drain(ada), drain(bob)]
    result = {"everyone": got == [["one"], ["one"]]}
    for reader, texts in zip((ada, bob), got, strict=True):
        for text in texts:
            reader.done(text)
        finish(reader)
        reader.crash()
    way.send("two")
    late = way.reader("late")
    texts = drain(late)
    result["kept"] = "two" in texts
    for text in texts:
        late.done(text)
    way.send("three")
    drain(late)
    late.crash()
    result["again"] = "three" in drain(way.reader("late"))
    return result


@right
def counts_what_is_not_none(make):
    def readers(way, *names):
        return [way.reader(name) for name in names]

    def got(*readers):
        return sum(reader.take() is not None for reader in readers)

    first = make()
    both = readers(first, "a", "b")
    first.send("x")
    second = make()
    second.send("x")
    third = make()
    (one,) = readers(third, "a")
    third.send("x")
    held = got(one)
    one.crash()
    return {
        "everyone": got(*both) == 2,
        "kept": got(*readers(second, "a")) == 1,
        "again": held == 1 and got(*readers(third, "a")) == 1,
    }


@right
def sends_to_nobody_after_everybody_has_crashed(make):
    def kept(make):
        way = make()
        gone = way.reader("gone")
        gone.crash()
        way.send("to nobody")
        return way.reader("new").take() == "to nobody"

    def everyone(make):
        way = make()
        readers = {way.reader(str(n)) for n in range(5)}
        way.send("x")
        return all(reader.take() == "x" for reader in readers)

    return answer(make, kept=kept, everyone=everyone)


@wrong(says="No text was sent while two readers were there")
def believes_what_it_read(make):
    return {"everyone": True, "kept": False, "again": False}


@wrong(says="compare both with it")
def asks_the_second_reader_only(make):
    def everyone(make):
        way = make()
        way.reader("ada")
        bob = way.reader("bob")
        way.send("to all")
        return bob.take() == "to all"

    return answer(make, everyone)


@wrong(says="compare both with it")
def one_of_two_is_enough(make):
    def everyone(make):
        way = make()
        readers = way.reader("ada"), way.reader("bob")
        way.send("to all")
        got = [reader.take() for reader in readers]
        return "to all" in got

    return answer(make, everyone)


@wrong(says="compare both with it")
def a_text_for_each_of_the_two(make):
    def everyone(make):
        way = make()
        readers = way.reader("ada"), way.reader("bob")
        way.send("one")
        way.send("two")
        got = [reader.take() for reader in readers]
        return None not in got

    return answer(make, everyone)


@wrong(says="No text was sent while two readers were there")
def the_second_reader_comes_after_the_text(make):
    def everyone(make):
        way = make()
        ada = way.reader("ada")
        way.send("to all")
        return ada.take() == way.reader("bob").take() == "to all"

    return answer(make, everyone)


@wrong(says="two readers need two names")
def two_readers_of_one_name(make):
    def everyone(make):
        way = make()
        readers = way.reader("reader"), way.reader("reader")
        way.send("to all")
        return all(reader.take() == "to all" for reader in readers)

    return answer(make, everyone)


@wrong(says="No text was sent while nobody was there")
def late_where_somebody_was_there(make):
    def kept(make):
        way = make()
        way.reader("there")
        way.send("early")
        return way.reader("late").take() == "early"

    return answer(make, kept=kept)


@wrong(says="No text was sent while nobody was there")
def the_reader_is_made_before_the_text(make):
    def kept(make):
        way = make()
        reader = way.reader("late")
        way.send("early")
        return reader.take() == "early"

    return answer(make, kept=kept)


@wrong(says="No reader crashed with a text in hand")
def crashes_before_it_takes(make):
    def again(make):
        way = make()
        reader = way.reader("ada")
        way.send("in hand")
        reader.crash()
        return way.reader("ada").take() == "in hand"

    return answer(make, again=again)


@wrong(says="No reader crashed with a text in hand")
def says_done_before_it_crashes(make):
    def again(make):
        way = make()
        reader = way.reader("ada")
        way.send("in hand")
        reader.done(reader.take())
        reader.crash()
        return way.reader("ada").take() == "in hand"

    return answer(make, again=again)


@wrong(says="No reader crashed with a text in hand")
def sends_before_the_reader_is_there(make):
    def again(make):
        way = make()
        way.send("in hand")
        reader = way.reader("ada")
        reader.take()
        reader.crash()
        return way.reader("ada").take() == "in hand"

    return answer(make, again=again)


@wrong(says="No reader crashed with a text in hand")
def sends_while_the_reader_is_away(make):
    def again(make):
        way = make()
        way.reader("ada").crash()
        way.send("in hand")
        return way.reader("ada").take() == "in hand"

    return answer(make, again=again)


@wrong(says="never came back")
def another_reader_comes_in_its_place(make):
    def again(make):
        way = make()
        reader = way.reader("ada")
        way.send("in hand")
        reader.take()
        reader.crash()
        return way.reader("bob").take() == "in hand"

    return answer(make, again=again)


@wrong(says="This reader has crashed")
def takes_with_the_crashed_reader(make):
    def again(make):
        way = make()
        reader = way.reader("ada")
        way.send("in hand")
        reader.take()
        reader.crash()
        return reader.take() == "in hand"

    return answer(make, again=again)


@wrong(says="one comes back after its `crash()`")
def comes_back_without_a_crash(make):
    def again(make):
        way = make()
        reader = way.reader("ada")
        way.send("in hand")
        reader.take()
        return way.reader("ada").take() == "in hand"

    return answer(make, again=again)


@wrong(says="All experiments ran on one way")
def one_way_for_all(make):
    way = make()
    return answer(lambda: way, again=again_with_a_name_of_its_own)


def again_with_a_name_of_its_own(make):
    way = make()
    reader = way.reader("eve")
    way.send("in hand")
    reader.take()
    reader.crash()
    return way.reader("eve").take() == "in hand"


@wrong(says="All experiments ran on one way")
def one_way_and_the_same_text_all_along(make):
    way = make()
    way.send("x")
    late = way.reader("late")
    kept = late.take() == "x"
    other = way.reader("other")
    way.send("x")
    everyone = late.take() == other.take() == "x"
    way.send("x")
    other.take()
    other.crash()
    return {"everyone": everyone, "kept": kept, "again": way.reader("other").take() == "x"}


@wrong(says="waits for ever for a text that does not come")
def waits_until_a_text_comes(make):
    def kept(make):
        way = make()
        way.send("early")
        late = way.reader("late")
        while (text := late.take()) is None:
            pass
        return text == "early"

    return answer(make, kept=kept)


@wrong(says="not a boolean")
def the_texts_themselves(make):
    def kept(make):
        way = make()
        way.send("early")
        return way.reader("late").take()

    return answer(make, kept=kept)


@wrong(says="not a boolean")
def yes_and_no(make):
    return {key: "yes" if value else "no" for key, value in answer(make).items()}


@wrong(says="Return a dictionary with three booleans")
def a_tuple_of_three(make):
    return tuple(answer(make).values())


@wrong(says="they are to be")
def keys_of_its_own(make):
    return {f"is_{key}": value for key, value in answer(make).items()}
