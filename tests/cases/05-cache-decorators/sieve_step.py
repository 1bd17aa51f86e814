from itertools import chain

from tests.cases import right, wrong


@right
def a_loop(queue, visited, hand):
    while queue[hand] in visited:
        visited.discard(queue[hand])
        hand = (hand + 1) % len(queue)
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


@right
def without_end(queue, visited, hand):
    while True:
        key = queue[hand]
        if key not in visited:
            queue.remove(key)
            return key, hand % max(len(queue), 1)
        visited.remove(key)
        hand += 1
        if hand == len(queue):
            hand = 0


@right
def twice_around(queue, visited, hand):
    for key in chain(queue[hand:], queue[:hand], [queue[hand]]):
        if key in visited:
            visited.remove(key)
        else:
            break
    place = queue.index(key)
    del queue[place]
    return key, 0 if place == len(queue) else place


@right
def one_call_for_each_step(queue, visited, hand):
    if queue[hand] in visited:
        visited.remove(queue[hand])
        return one_call_for_each_step.answer(queue, visited, (hand + 1) % len(queue))
    victim = queue[hand]
    queue[hand : hand + 1] = []
    return victim, hand if queue[hand:] else 0


@wrong(says="What is spared keeps its place")
def a_second_chance(queue, visited, hand):
    while queue[hand] in visited:
        visited.discard(queue[hand])
        queue.append(queue.pop(hand))
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


@wrong(says="Marks that the hand passed are gone")
def marks_stay(queue, visited, hand):
    for _ in queue:
        if queue[hand] not in visited:
            break
        hand = (hand + 1) % len(queue)
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


@wrong(says="The hand goes round for ever")
def goes_round_for_ever(queue, visited, hand):
    while queue[hand] in visited:
        hand = (hand + 1) % len(queue)
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


@wrong(says="The hand goes round for ever")
def the_hand_does_not_move(queue, visited, hand):
    while True:
        if queue[hand] not in visited:
            victim = queue.pop(hand)
            return victim, hand if hand < len(queue) else 0


@wrong(says="one that it did not reach stays")
def every_mark_goes(queue, visited, hand):
    victim, hand = a_loop.answer(queue, visited, hand)
    visited.clear()
    return victim, hand


@wrong(says="from the very set that you are given")
def takes_marks_from_a_copy(queue, visited, hand):
    return a_loop.answer(queue, set(visited), hand)


@wrong(says="After the last place comes 0")
def the_hand_runs_over_the_end(queue, visited, hand):
    while queue[hand] in visited:
        visited.discard(queue[hand])
        hand += 1
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


@wrong(says="When the newest went, the hand goes on at the oldest")
def the_new_hand_is_past_the_end(queue, visited, hand):
    while queue[hand] in visited:
        visited.discard(queue[hand])
        hand = (hand + 1) % len(queue)
    return queue.pop(hand), hand


@wrong(says="the queue is empty: the hand is 0")
def a_remainder_of_nothing(queue, visited, hand):
    while queue[hand] in visited:
        visited.discard(queue[hand])
        hand = (hand + 1) % len(queue)
    victim = queue.pop(hand)
    return victim, hand % len(queue)


@wrong(says="The next one has moved up into the victim's place")
def the_hand_moves_on_after_the_victim(queue, visited, hand):
    victim, hand = a_loop.answer(queue, visited, hand)
    return victim, (hand + 1) % max(len(queue), 1)


@wrong(says="the victim of `sieve_step(")
def begins_at_the_oldest(queue, visited, hand):
    return a_loop.answer(queue, visited, 0)


@wrong(says="The hand goes towards the newest")
def goes_towards_the_oldest(queue, visited, hand):
    while queue[hand] in visited:
        visited.discard(queue[hand])
        hand = (hand - 1) % len(queue)
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


@wrong(says="The hand goes towards the newest")
def evicts_what_is_marked(queue, visited, hand):
    while visited and queue[hand] not in visited:
        hand = (hand + 1) % len(queue)
    visited.discard(queue[hand])
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


@wrong(says="The hand goes towards the newest")
def looks_at_no_mark(queue, visited, hand):
    victim = queue.pop(hand)
    return victim, hand if hand < len(queue) else 0


@wrong(says="take the victim out of the very list that you are given")
def leaves_the_victim_in(queue, visited, hand):
    while queue[hand] in visited:
        visited.discard(queue[hand])
        hand = (hand + 1) % len(queue)
    return queue[hand], hand


@wrong(says="take the victim out of the very list that you are given")
def takes_it_out_of_a_copy(queue, visited, hand):
    return a_loop.answer(list(queue), visited, hand)


@wrong(says="expected a tuple of two, the victim and the new hand")
def returns_the_victim_only(queue, visited, hand):
    return a_loop.answer(queue, visited, hand)[0]


@wrong(says="expected a tuple of two")
def returns_nothing(queue, visited, hand):
    a_loop.answer(queue, visited, hand)


@wrong(says="the victim of `sieve_step(")
def returns_them_the_wrong_way_round(queue, visited, hand):
    victim, hand = a_loop.answer(queue, visited, hand)
    return hand, victim
