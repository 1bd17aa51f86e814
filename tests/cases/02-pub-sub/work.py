import contextlib

import redis

from tests.cases import right, wrong

STREAM, GROUP = "arcade:jobs", "workers"


def claim(r, me, idle, count=10):
    return r.xautoclaim(STREAM, GROUP, me, min_idle_time=idle, count=count)[1]


def read(r, me, count, **options):
    if count < 1:
        return []
    answer = r.xreadgroup(GROUP, me, {STREAM: ">"}, count=count, **options)
    return [job for _, jobs in answer for job in jobs]


def do(r, jobs, handle):
    done = 0
    for job, fields in jobs:
        try:
            handle(fields["text"])
        except Exception:
            continue
        r.xack(STREAM, GROUP, job)
        done += 1
    return done


@right
def claims_then_reads(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    return do(r, jobs, handle)


@right
def one_at_a_time_from_the_cursor(r, me, handle, idle):
    done, tried, cursor = 0, 0, "0-0"
    while tried < 10:
        jobs = []
        if cursor:
            cursor, jobs, _ = r.xautoclaim(STREAM, GROUP, me, idle, cursor, count=1)
            cursor = "" if cursor == "0-0" else cursor
            if cursor and not jobs:
                continue
        jobs = jobs or read(r, me, 1)
        if not jobs:
            break
        tried += 1
        done += do(r, jobs, handle)
    return done


@right
def reads_new_ones_one_at_a_time(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = do(r, jobs, handle)
    return done + sum(do(r, read(r, me, 1), handle) for _ in range(10 - len(jobs)))


@right
def looks_what_is_pending_and_claims_it(r, me, handle, idle):
    held = r.xpending_range(STREAM, GROUP, "-", "+", 10, idle=idle)
    ids = [one["message_id"] for one in held]
    jobs = r.xclaim(STREAM, GROUP, me, min_idle_time=idle, message_ids=ids) if ids else []
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@right
def follows_the_cursor_and_removes_what_is_done(r, me, handle, idle):
    def jobs():
        room, cursor = 10, "0-0"
        while room:
            cursor, claimed, _ = r.xautoclaim(STREAM, GROUP, me, idle, cursor, count=room)
            room -= len(claimed)
            yield from claimed
            if cursor == "0-0":
                break
        yield from read(r, me, room)

    done = 0
    for job, fields in jobs():
        try:
            handle(fields["text"])
        except Exception:
            pass
        else:
            r.pipeline().xack(STREAM, GROUP, job).xdel(STREAM, job).execute()
            done += 1
    return done


@right
def makes_sure_of_the_group(r, me, handle, idle):
    with contextlib.suppress(redis.ResponseError):
        r.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    jobs = claim(r, me, idle)
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@right
def a_bare_except_around_both(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs.extend(read(r, me, 10 - len(jobs)))
    done = 0
    for job, fields in jobs:
        try:
            handle(fields["text"])
            done += r.xack(STREAM, GROUP, job)
        except:  # noqa: E722
            pass
    return done


@wrong(says="None of the 4 jobs was done that workers have held")
def new_ones_only(r, me, handle, idle):
    return do(r, read(r, me, 10), handle)


@wrong(says="`handle` was called for none")
def old_ones_only(r, me, handle, idle):
    return do(r, claim(r, me, idle), handle)


@wrong(says="New jobs were done before those of dead workers")
def new_ones_first(r, me, handle, idle):
    jobs = read(r, me, 4)
    return do(r, jobs + claim(r, me, idle, 10 - len(jobs)), handle)


@wrong(says="None of the 4 jobs was done that workers have held")
def claims_where_nothing_is_new(r, me, handle, idle):
    jobs = read(r, me, 10)
    return do(r, jobs or claim(r, me, idle), handle)


@wrong(says="somebody is at it, and it is done twice")
def claims_whatever_is_pending(r, me, handle, idle):
    jobs = claim(r, me, 0)
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="somebody is at it, and it is done twice")
def takes_idle_for_seconds(r, me, handle, idle):
    jobs = claim(r, me, idle // 1000)
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="None of the 4 jobs was done that workers have held")
def turns_milliseconds_into_more(r, me, handle, idle):
    jobs = claim(r, me, idle * 1000)
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="which your own consumer has held for less than")
def reads_its_own_history_first(r, me, handle, idle):
    mine = r.xreadgroup(GROUP, me, {STREAM: "0"}, count=10)[0][1]
    jobs = mine + claim(r, me, idle, 10 - len(mine))
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="itself has held for more than `idle`")
def claims_from_others_only(r, me, handle, idle):
    held = r.xpending_range(STREAM, GROUP, "-", "+", 100, idle=idle)
    ids = [one["message_id"] for one in held if one["consumer"] != me][:10]
    jobs = r.xclaim(STREAM, GROUP, me, min_idle_time=idle, message_ids=ids) if ids else []
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="the first are such that others are at")
def looks_at_ten_that_are_pending(r, me, handle, idle):
    held = r.xpending_range(STREAM, GROUP, "-", "+", 10)
    ids = [one["message_id"] for one in held if one["time_since_delivered"] >= idle]
    jobs = r.xclaim(STREAM, GROUP, me, min_idle_time=idle, message_ids=ids) if ids else []
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="XAUTOCLAIM finds and takes in one step")
def claims_what_was_idle_a_moment_ago(r, me, handle, idle):
    held = r.xpending_range(STREAM, GROUP, "-", "+", 10, idle=idle)
    ids = [one["message_id"] for one in held]
    jobs = r.xclaim(STREAM, GROUP, me, min_idle_time=0, message_ids=ids) if ids else []
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="XAUTOCLAIM finds and takes in one step")
def handles_what_it_meant_to_claim(r, me, handle, idle):
    held = r.xpending_range(STREAM, GROUP, "-", "+", 10, idle=idle)
    ids = [one["message_id"] for one in held]
    jobs = [r.xrange(STREAM, job, job)[0] for job in ids]
    if ids:
        r.xclaim(STREAM, GROUP, me, min_idle_time=idle, message_ids=ids)
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="take a job as `me`")
def does_what_is_held_without_claiming(r, me, handle, idle):
    held = r.xpending_range(STREAM, GROUP, "-", "+", 10, idle=idle)
    jobs = [r.xrange(STREAM, one["message_id"], one["message_id"])[0] for one in held]
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="take a job as `me`")
def a_consumer_of_one_name(r, me, handle, idle):
    return claims_then_reads.answer(r, "worker-1", handle, idle)


@wrong(says="An eleventh job was taken")
def ten_of_each(r, me, handle, idle):
    return do(r, claim(r, me, idle) + read(r, me, 10), handle)


@wrong(says="An eleventh job was taken")
def as_many_as_there_are(r, me, handle, idle):
    jobs = claim(r, me, idle, 100) + read(r, me, 100)
    return do(r, jobs, handle)


@wrong(says="more were claimed")
def claims_all_and_does_ten(r, me, handle, idle):
    jobs = claim(r, me, idle, 100)
    return do(r, jobs[:10] + read(r, me, 10 - len(jobs)), handle)


@wrong(says="Taken and not handled")
def takes_ten_of_each_and_does_ten(r, me, handle, idle):
    jobs = claim(r, me, idle) + read(r, me, 10)
    return do(r, jobs[:10], handle)


@wrong(says="there is no room for new ones")
def reads_with_a_count_of_nothing(r, me, handle, idle):
    jobs = claim(r, me, idle)
    new = r.xreadgroup(GROUP, me, {STREAM: ">"}, count=10 - len(jobs))
    return do(r, jobs + (new[0][1] if new else []), handle)


@wrong(says="XREADGROUP answers an empty list")
def expects_a_new_job(r, me, handle, idle):
    jobs = claim(r, me, idle)
    if len(jobs) < 10:
        jobs += r.xreadgroup(GROUP, me, {STREAM: ">"}, count=10 - len(jobs))[0][1]
    return do(r, jobs, handle)


@wrong(says="XAUTOCLAIM answers three things")
def expects_two_things_of_a_claim(r, me, handle, idle):
    _, jobs = r.xautoclaim(STREAM, GROUP, me, min_idle_time=idle, count=10)
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="was acknowledged already")
def acknowledges_before_it_handles(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        r.xack(STREAM, GROUP, job)
        try:
            handle(fields["text"])
            done += 1
        except Exception:
            continue
    return done


@wrong(says="was acknowledged already")
def acknowledges_all_as_it_takes_them(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    if jobs:
        r.xack(STREAM, GROUP, *[job for job, _ in jobs])
    return do(r, jobs, handle)


@wrong(says="Acknowledge each job before the next")
def acknowledges_all_at_the_end(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = []
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        try:
            handle(fields["text"])
            done.append(job)
        except Exception:
            continue
    if done:
        r.xack(STREAM, GROUP, *done)
    return len(done)


@wrong(says="`noack=True` finishes a job when it is handed out")
def reads_without_acknowledging(r, me, handle, idle):
    jobs = claim(r, me, idle)
    return do(r, jobs + read(r, me, 10 - len(jobs), noack=True), handle)


@wrong(says="Done and not acknowledged")
def never_acknowledges(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    for _, fields in jobs:
        try:
            handle(fields["text"])
        except Exception:
            continue
    return len(jobs)


@wrong(says="Done and not acknowledged")
def deletes_and_does_not_acknowledge(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        try:
            handle(fields["text"])
        except Exception:
            continue
        done += r.xdel(STREAM, job)
    return done


@wrong(says="Done and not acknowledged")
def acknowledges_to_another_group(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        try:
            handle(fields["text"])
        except Exception:
            continue
        r.xack(STREAM, me, job)
        done += 1
    return done


@wrong(says="was acknowledged all the same")
def acknowledges_in_finally(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        try:
            handle(fields["text"])
            done += 1
        except Exception:
            pass
        finally:
            r.xack(STREAM, GROUP, job)
    return done


@wrong(says="one job that cannot be done stops all that come after it")
def acknowledges_in_finally_and_lets_the_error_through(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        try:
            handle(fields["text"])
            done += 1
        finally:
            r.xack(STREAM, GROUP, job)
    return done


@wrong(says="one job that cannot be done stops all that come after it")
def lets_the_error_through(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    for job, fields in jobs:
        handle(fields["text"])
        r.xack(STREAM, GROUP, job)
    return len(jobs)


@wrong(says="one job that cannot be done stops all that come after it")
def catches_one_kind_of_error(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        try:
            handle(fields["text"])
        except ValueError:
            continue
        r.xack(STREAM, GROUP, job)
        done += 1
    return done


@wrong(says="those after it were taken and not handled")
def stops_at_the_first_error(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    try:
        for job, fields in jobs + read(r, me, 10 - len(jobs)):
            handle(fields["text"])
            r.xack(STREAM, GROUP, job)
            done += 1
    except Exception:
        pass
    return done


@wrong(says="was called for it again at once")
def tries_twice(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        for _ in range(2):
            try:
                handle(fields["text"])
            except Exception:
                continue
            r.xack(STREAM, GROUP, job)
            done += 1
            break
    return done


@wrong(says="tries again for ever")
def tries_until_it_is_done(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    for job in jobs:
        while not do(r, [job], handle):
            pass
    return len(jobs)


@wrong(says="even being cut off, and tries again for ever")
def tries_again_whatever_comes(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    done = 0
    for job, fields in jobs:
        with contextlib.suppress(Exception):
            handle(fields["text"])
            while True:
                try:
                    r.xack(STREAM, GROUP, job)
                    break
                except:  # noqa: E722
                    continue
            done += 1
    return done


@wrong(says="Done and not acknowledged")
def acknowledges_the_last_only(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    done = 0
    for job, fields in jobs:  # noqa: B007
        with contextlib.suppress(Exception):
            handle(fields["text"])
            done += 1
    if jobs:
        r.xack(STREAM, GROUP, job)
    return done


@wrong(says="XAUTOCLAIM finds and takes in one step")
def claims_and_leaves_them_as_idle_as_before(r, me, handle, idle):
    jobs = claim(r, me, idle)
    if jobs:
        r.xclaim(STREAM, GROUP, me, 0, [job for job, _ in jobs], idle=idle)
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="Passed over")
def claims_one_and_reads_nine(r, me, handle, idle):
    jobs = claim(r, me, idle, count=1)
    return do(r, jobs + read(r, me, 10 - len(jobs)), handle)


@wrong(says="was acknowledged all the same")
def puts_failed_jobs_at_the_end(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        try:
            handle(fields["text"])
            done += 1
        except Exception:
            r.xadd(STREAM, fields)
        r.xack(STREAM, GROUP, job)
    return done


@wrong(says="Count what was done")
def counts_what_it_took(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    do(r, jobs, handle)
    return len(jobs)


@wrong(says="still holds")
def gives_failed_jobs_to_another_consumer(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        try:
            handle(fields["text"])
        except Exception:
            r.xclaim(STREAM, GROUP, "failed", 0, [job])
            continue
        r.xack(STREAM, GROUP, job)
        done += 1
    return done


@wrong(says="in the same call: one such job takes the turn of all")
def one_at_a_time(r, me, handle, idle):
    done = 0
    for _ in range(10):
        jobs = claim(r, me, idle, count=1) or read(r, me, 1)
        if not jobs:
            break
        done += do(r, jobs, handle)
    return done


@wrong(says="in the same call: one such job takes the turn of all")
def one_at_a_time_and_never_breaks_off(r, me, handle, idle):
    return sum(do(r, claim(r, me, idle, 1) or read(r, me, 1), handle) for _ in range(10))


@wrong(says="Leave `block` out")
def waits_a_moment_for_new_ones(r, me, handle, idle):
    jobs = claim(r, me, idle)
    return do(r, jobs + read(r, me, 10 - len(jobs), block=200), handle)


@wrong(says="Leave `block` out")
def waits_where_there_is_nothing(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    return do(r, jobs or read(r, me, 10, block=400), handle)


@wrong(says="waits for ever where there is no new job")
def waits_for_ever_where_there_is_nothing(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    return do(r, jobs or read(r, me, 10, block=0), handle)


@wrong(says="waits for ever where there is no new job")
def waits_for_ever(r, me, handle, idle):
    jobs = claim(r, me, idle)
    return do(r, jobs + read(r, me, 10 - len(jobs), block=0), handle)


@wrong(says="goes on asking for jobs where there are none")
def goes_on_until_ten_are_done(r, me, handle, idle):
    done = 0
    while done < 10:
        jobs = claim(r, me, idle, 10 - done)
        done += do(r, jobs + read(r, me, 10 - done - len(jobs), block=100), handle)
    return done


@wrong(says="An eleventh job was taken")
def a_worker_that_never_returns(r, me, handle, idle):
    while True:
        jobs = claim(r, me, idle)
        do(r, jobs + read(r, me, 10 - len(jobs), block=1000), handle)


@wrong(says="Return how many jobs were done")
def returns_nothing(r, me, handle, idle):
    claims_then_reads.answer(r, me, handle, idle)


@wrong(says="pass it `fields['text']`")
def hands_over_the_fields(r, me, handle, idle):
    jobs = claim(r, me, idle)
    done = 0
    for job, fields in jobs + read(r, me, 10 - len(jobs)):
        handle(fields)
        r.xack(STREAM, GROUP, job)
        done += 1
    return done


@wrong(says="you read past the group")
def reads_the_stream_without_the_group(r, me, handle, idle):
    jobs = claim(r, me, idle)
    for _, new in r.xread({STREAM: "0"}, count=10 - len(jobs) or 1):
        jobs += new
    return do(r, jobs, handle)


@wrong(says="`handle` was called for none")
def asks_for_its_history_in_place_of_new_ones(r, me, handle, idle):
    jobs = claim(r, me, idle)
    if len(jobs) < 10:
        jobs += r.xreadgroup(GROUP, me, {STREAM: "0"}, count=10 - len(jobs))[0][1]
    return do(r, jobs, handle)


@wrong(says="the texts that `handle` got")
def skips_empty_texts(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    return do(r, [job for job in jobs if job[1]["text"]], handle)


@wrong(says="the texts that `handle` got")
def the_newest_first(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    return do(r, jobs[::-1], handle)


@wrong(says="the texts that `handle` got")
def one_job_for_each_text(r, me, handle, idle):
    jobs = claim(r, me, idle)
    jobs += read(r, me, 10 - len(jobs))
    texts = {fields["text"]: job for job, fields in jobs}
    return do(r, [(job, {"text": text}) for text, job in texts.items()], handle)


@wrong(says="is there already, and so is its group")
def makes_the_group_each_time(r, me, handle, idle):
    r.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    return claims_then_reads.answer(r, me, handle, idle)
