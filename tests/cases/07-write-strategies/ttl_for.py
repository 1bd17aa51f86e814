import math

from tests.cases import right, wrong


def refuse(reads, age, least, most):
    if not reads >= 0 or not age >= 0 or not 1 <= least <= most:
        raise ValueError("Counts and ages are 0 or more, and 1 <= least <= most.")


@right
def as_it_is_told(reads_last_hour, seconds_since_change, least=30, most=86_400):
    if not reads_last_hour >= 0 or not seconds_since_change >= 0 or not 1 <= least <= most:
        raise ValueError("Counts and ages are 0 or more, and 1 <= least <= most.")
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@right
def another_way_to_the_logarithm(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change * math.log(10 * (reads_last_hour + 1), 10) / 10
    if share >= most:
        return most
    return max(math.floor(share), least)


@right
def case_by_case(reads_last_hour, seconds_since_change, least=30, most=86_400):
    numbers = (reads_last_hour, seconds_since_change)
    if any(math.isnan(number) or number < 0 for number in numbers):
        raise ValueError(numbers)
    if least < 1 or least > most:
        raise ValueError(f"{least} to {most}")
    if math.isinf(seconds_since_change):
        return most
    share = 0.1 * seconds_since_change * (1 + math.log10(reads_last_hour + 1))
    return sorted([least, int(share), most])[1]


@wrong(says="That is the natural logarithm")
def natural_logarithm(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="That is the natural logarithm")
def natural_logarithm_of_one_more(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    return int(max(least, min(most, seconds_since_change / 10 * (1 + math.log1p(reads_last_hour)))))


@wrong(says="That is the logarithm to base 2")
def logarithm_to_base_2(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log2(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="0 is one of them, too")
def logarithm_of_no_reads(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log10(reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="The reads make no difference")
def forgets_the_reads(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    return int(max(least, min(most, seconds_since_change / 10)))


@wrong(says="Your answer takes all of the age")
def the_whole_age(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="Your answer leaves out the 1 in front of the logarithm")
def nothing_for_what_nobody_reads(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    if math.isinf(seconds_since_change):
        return most
    share = seconds_since_change / 10 * math.log10(1 + reads_last_hour)
    return int(max(least, min(most, share)))


@wrong(says="Your answer divides")
def hot_goes_first(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 / (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="Your answer multiplies with the reads themselves")
def as_many_times_as_reads(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    return int(max(least, min(most, seconds_since_change / 10 * (1 + reads_last_hour))))


@wrong(says="rounds to the nearest number")
def rounds_to_the_nearest(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return round(max(least, min(most, share)))


@wrong(says="Round down: your answer rounds up")
def rounds_up(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return math.ceil(max(least, min(most, share)))


@wrong(says="The age is rounded in your answer before the reads count")
def rounds_the_tenth(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    if math.isinf(seconds_since_change):
        return most
    share = seconds_since_change // 10 * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="expected a whole number, an int")
def leaves_the_fraction(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return max(least, min(most, share))


@wrong(says="Bring it below `most` first")
def rounds_infinity(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = int(seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour)))
    return max(least, min(most, share))


@wrong(says="a tenth of its age is below 30")
def forgets_the_lower_bound(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return max(30, int(min(most, share))) if not share else int(min(most, share))


@wrong(says="`most` is a day if left out")
def forgets_the_upper_bound(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return most if math.isinf(share) else int(max(least, share))


@wrong(says="`most` is a day if left out")
def mixes_up_min_and_max(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return int(min(least, max(most, share)))


@wrong(says="it is older than that allows")
def bounds_of_its_own(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, most)
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    if most == 10**12:
        return int(share)
    return int(max(30 if least == 30 else least, min(86_400, share)))


@wrong(says="expected a ValueError. A count cannot be negative")
def makes_negatives_fit(reads_last_hour, seconds_since_change, least=30, most=86_400):
    reads, age = max(0, reads_last_hour), max(0, seconds_since_change)
    return int(max(least, min(most, age / 10 * (1 + math.log10(1 + reads)))))


@wrong(says="`nan < 0` is False")
def forgets_nan(reads_last_hour, seconds_since_change, least=30, most=86_400):
    if reads_last_hour < 0 or seconds_since_change < 0 or least < 1 or least > most:
        raise ValueError("negative")
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="No number is at least 60 and at most 59")
def bounds_that_cross(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, least, max(least, most))
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="Redis refuses a time to live of 0")
def a_time_to_live_of_0(reads_last_hour, seconds_since_change, least=30, most=86_400):
    refuse(reads_last_hour, seconds_since_change, max(1, least), most)
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="Expected a ValueError. A count cannot be negative")
def asserts(reads_last_hour, seconds_since_change, least=30, most=86_400):
    assert reads_last_hour >= 0
    assert seconds_since_change >= 0
    assert 1 <= least <= most
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="0 is one of them, too")
def refuses_0(reads_last_hour, seconds_since_change, least=30, most=86_400):
    if not reads_last_hour > 0 or not seconds_since_change > 0 or not 1 <= least <= most:
        raise ValueError("nothing to go by")
    share = seconds_since_change / 10 * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))


@wrong(says="The fraction of the age is dropped")
def drops_the_fraction_of_the_age(reads_last_hour, seconds_since_change, least=30, most=86_400):
    if not reads_last_hour >= 0 or not seconds_since_change >= 0 or not 1 <= least <= most:
        raise ValueError("no")
    if seconds_since_change == math.inf:
        return most
    share = int(seconds_since_change) / 10 * (1 + math.log10(1 + reads_last_hour))
    return int(max(least, min(most, share)))
