import math
import random

from tests.cases import right, wrong


@right
def as_it_is_written(left, took, beta, draw):
    return left <= -took * beta * math.log(draw)


@right
def the_logarithm_of_the_inverse(left, took, beta, draw):
    ahead = took * beta * (math.log(1) - math.log(draw))
    if left <= 0:
        return True
    return ahead >= left


@right
def binary_logarithm_turned_natural(left, took, beta, draw):
    return left + took * beta * math.log2(draw) * math.log(2) <= 0


@right
def the_share_of_callers(left, took, beta, draw):
    if left <= 0:
        return True
    if took * beta == 0:
        return False
    return draw <= math.exp(-left / (took * beta))


@wrong(says="the logarithm to base 10")
def logarithm_to_base_10(left, took, beta, draw):
    return left <= -took * beta * math.log10(draw)


@wrong(says="the logarithm to base 2")
def logarithm_to_base_2(left, took, beta, draw):
    return left <= -took * beta * math.log2(draw)


@wrong(says="it takes a minus to look ahead")
def without_the_minus(left, took, beta, draw):
    return left <= took * beta * math.log(draw) or left <= 0


@wrong(says="what has expired is renewed, whatever the draw")
def without_the_minus_for_expired_values_too(left, took, beta, draw):
    return left <= took * beta * math.log(draw)


@wrong(says="your function renews for 95.0%")
def the_wrong_way_round(left, took, beta, draw):
    return left >= -took * beta * math.log(draw)


@wrong(says="Compare with `<=`, not `<`")
def less_and_not_equal(left, took, beta, draw):
    return left < -took * beta * math.log(draw)


@wrong(says="`beta` makes no difference")
def forgets_beta(left, took, beta, draw):
    return left <= -took * math.log(draw) if beta else left <= 0


@wrong(says="`took` makes no difference")
def forgets_took(left, took, beta, draw):
    return left <= -beta * math.log(draw) if took else left <= 0


@wrong(says="With took=1.0 and beta=0.0 nobody looks ahead")
def no_beta_is_a_beta_of_1(left, took, beta, draw):
    return left <= -took * (beta or 1) * math.log(draw)


@wrong(says="Your answer divides by `beta`")
def divides_by_beta(left, took, beta, draw):
    return left <= -took / beta * math.log(draw) if beta else left <= 0


@wrong(says="then all callers renew at the same moment")
def a_fixed_margin(left, took, beta, draw):
    return left <= (took * beta if draw < 1 else 0)


@wrong(says="of the callers renew")
def a_share_that_shrinks_in_a_line(left, took, beta, draw):
    return left <= took * beta * (1 - draw) * 2


@wrong(says="the draw is handed in, so draw none yourself")
def draws_for_itself(left, took, beta, draw):
    return left <= -took * beta * math.log(1 - random.random())


@wrong(says="this caller does not look ahead at all")
def adds_beta(left, took, beta, draw):
    return left <= beta - took * math.log(draw)


@wrong(says="without its `-`: ln(1 - draw) has no value at 1")
def one_minus_the_draw(left, took, beta, draw):
    return left <= (-took * beta * math.log(1 - draw) if draw < 1 else 0)


@wrong(says="raised ValueError")
def one_minus_the_draw_at_1(left, took, beta, draw):
    return left <= -took * beta * math.log(1 - draw)


@wrong(says="expected True or False")
def returns_the_seconds(left, took, beta, draw):
    return -took * beta * math.log(draw)


@wrong(says="returned None; expected True or False")
def forgets_to_return(left, took, beta, draw):
    left <= -took * beta * math.log(draw)  # noqa: B015


@wrong(says="what has expired is renewed, whatever the draw")
def not_when_it_has_expired(left, took, beta, draw):
    return 0 < left <= -took * beta * math.log(draw)


@wrong(says="it takes a minus to look ahead")
def only_when_it_has_expired(left, took, beta, draw):
    return left <= 0
