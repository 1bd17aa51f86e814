import itertools
import random
import time
import uuid

import httpx

from tests.cases import right, wrong


def post(http, board, player, score, key):
    return http.post(
        f"/boards/{board}/scores",
        json={"member": player, "score": score},
        headers={"Idempotency-Key": key},
    )


@right
def a_loop_that_keeps_the_last_attempt_apart(http, board, player, score):
    key = str(uuid.uuid4())
    for _ in range(3):
        try:
            response = post(http, board, player, score, key)
        except httpx.TransportError:
            continue
        if response.status_code < 500:
            break
    else:
        response = post(http, board, player, score, key)
    response.raise_for_status()
    return response.json()


@right
def remembers_the_last_error(http, board, player, score):
    headers = {"idempotency-key": uuid.uuid4().hex}
    last = None
    for _ in range(4):
        try:
            response = http.request(
                "POST",
                f"boards/{board}/scores",
                json={"member": player, "score": score},
                headers=headers,
            )
            response.raise_for_status()
            return response.json()
        except httpx.HTTPStatusError as error:
            if error.response.is_client_error:
                raise
            last = error
        except httpx.TransportError as error:
            last = error
    raise last


@right
def calls_itself(http, board, player, score):
    def attempt(key, left):
        try:
            response = post(http, board, player, score, key)
            failed = response.is_server_error
        except httpx.TransportError:
            if not left:
                raise
            failed = True
        if failed and left:
            return attempt(key, left - 1)
        response.raise_for_status()
        return response.json()

    return attempt(f"score-{random.SystemRandom().getrandbits(128):x}", 3)


@right
def sends_one_prepared_request(http, board, player, score):
    request = http.build_request(
        "POST",
        f"/boards/{board}/scores",
        json={"member": player, "score": score},
        headers={"Idempotency-Key": f"{player}:{time.time_ns()}:{uuid.uuid4()}"},
    )
    tries = 0
    while True:
        tries += 1
        try:
            answer = http.send(request)
            answer.raise_for_status()
        except (httpx.TransportError, httpx.HTTPStatusError) as error:
            refused = isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500
            if refused or tries == 4:
                raise
        else:
            return answer.json()


def attempts(http, board, player, score, make_key, count=4, again=lambda status: status >= 500):
    response = None
    for left in reversed(range(count)):
        try:
            response = post(http, board, player, score, make_key())
        except httpx.TransportError:
            if not left:
                raise
            continue
        if not again(response.status_code) or not left:
            break
    response.raise_for_status()
    return response.json()


@wrong(says="Each attempt had a key of its own")
def a_new_key_for_each_attempt(http, board, player, score):
    return attempts(http, board, player, score, lambda: str(uuid.uuid4()))


@wrong(says="A key made of board, player and score")
def a_key_made_of_what_is_sent(http, board, player, score):
    return attempts(http, board, player, score, lambda: f"{board}:{player}:{score}")


@wrong(says="A key made of board, player and score")
def a_key_that_follows_from_what_is_sent(http, board, player, score):
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{board}/{player}/{score}"))
    return attempts(http, board, player, score, lambda: key)


KEY = str(uuid.uuid4())


@wrong(says="made once for all calls")
def a_key_for_the_whole_program(http, board, player, score):
    return attempts(http, board, player, score, lambda: KEY)


@wrong(says="made once for all calls")
def a_key_as_a_default_argument(http, board, player, score, key=uuid.uuid4().hex):  # noqa: B008
    return attempts(http, board, player, score, lambda: key)


@wrong(says="drawn from few numbers")
def a_key_of_two_digits(http, board, player, score):
    key = str(random.randint(10, 99))
    return attempts(http, board, player, score, lambda: key)


@wrong(says="cannot tell a new score from a retry")
def the_second_as_a_key(http, board, player, score):
    key = str(int(time.time() / 1000))
    return attempts(http, board, player, score, lambda: key)


NUMBERS = itertools.count(1)


@wrong(says="counts through the same numbers")
def keys_that_count(http, board, player, score):
    key = f"score-{next(NUMBERS)}"
    return attempts(http, board, player, score, lambda: key)


@wrong(says="A request had no Idempotency-Key header")
def no_key(http, board, player, score):
    for left in (3, 2, 1, 0):
        try:
            path = f"/boards/{board}/scores"
            response = http.post(path, json={"member": player, "score": score})
        except httpx.TransportError:
            if not left:
                raise
            continue
        if response.status_code < 500 or not left:
            break
    response.raise_for_status()
    return response.json()


@wrong(says="A request had no Idempotency-Key header")
def a_key_in_another_header(http, board, player, score):
    http.headers["X-Idempotency-Key"] = str(uuid.uuid4())
    return no_key.answer(http, board, player, score)


@wrong(says="A key made of board, player and score, made once for all calls")
def a_key_that_stays_with_the_client(http, board, player, score):
    http.headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
    return no_key.answer(http, board, player, score)


@wrong(says="may soon be over: try again")
def a_single_attempt(http, board, player, score):
    return attempts(http, board, player, score, KEY_OF_A_CALL, count=1)


def KEY_OF_A_CALL():  # noqa: N802
    return str(uuid.uuid4())


def with_one_key(http, board, player, score, **options):
    key = str(uuid.uuid4())
    return attempts(http, board, player, score, lambda: key, **options)


@wrong(says="Attempts made: 3 of 4")
def three_attempts(http, board, player, score):
    return with_one_key(http, board, player, score, count=3)


@wrong(says="the attempts while the service cannot be reached: expected 4, got 5")
def four_after_the_first(http, board, player, score):
    return with_one_key(http, board, player, score, count=5)


@wrong(says="try again")
def not_again_after_500(http, board, player, score):
    return with_one_key(http, board, player, score, again=lambda status: False)


@wrong(says="A status of 500 or more is the service's trouble")
def again_after_503_only(http, board, player, score):
    return with_one_key(http, board, player, score, again=lambda status: status == 503)


@wrong(says="will be wrong again")
def again_after_400(http, board, player, score):
    return with_one_key(http, board, player, score, again=lambda status: status >= 400)


def catching(http, board, player, score, caught):
    key = str(uuid.uuid4())
    for left in (3, 2, 1, 0):
        try:
            response = post(http, board, player, score, key)
        except caught:
            if not left:
                raise
            continue
        if response.status_code < 500 or not left:
            break
    response.raise_for_status()
    return response.json()


@wrong(says="after any httpx.TransportError")
def again_after_timeouts_only(http, board, player, score):
    return catching(http, board, player, score, httpx.TimeoutException)


@wrong(says="after any httpx.TransportError")
def again_without_a_connection_only(http, board, player, score):
    return catching(http, board, player, score, (httpx.ConnectError, httpx.ConnectTimeout))


@wrong(says="after any httpx.TransportError")
def again_after_errors_of_the_network_only(http, board, player, score):
    return catching(http, board, player, score, (httpx.NetworkError, httpx.TimeoutException))


@wrong(says="after any httpx.TransportError")
def catches_an_error_of_python(http, board, player, score):
    return catching(http, board, player, score, (ConnectionError, TimeoutError))


@wrong(says="will be wrong again")
def catches_every_error_of_httpx(http, board, player, score):
    key = str(uuid.uuid4())
    for left in (3, 2, 1, 0):
        try:
            return post(http, board, player, score, key).raise_for_status().json()
        except httpx.HTTPError:
            if not left:
                raise
    return None


@wrong(says="as if all were well")
def swallows_the_last_error(http, board, player, score):
    key = str(uuid.uuid4())
    for _ in range(4):
        try:
            response = post(http, board, player, score, key)
        except httpx.TransportError:
            continue
        if response.status_code < 500:
            response.raise_for_status()
            return response.json()
    return None


@wrong(says="as if all were well")
def returns_what_a_bad_status_says(http, board, player, score):
    key = str(uuid.uuid4())
    for left in (3, 2, 1, 0):
        try:
            response = post(http, board, player, score, key)
        except httpx.TransportError:
            if not left:
                raise
            continue
        if response.status_code < 500:
            break
    return response.json()


@wrong(says="Let the *last* error reach the caller as it is")
def an_error_of_its_own(http, board, player, score):
    try:
        return with_one_key(http, board, player, score)
    except httpx.TransportError as error:
        raise RuntimeError("the service does not answer") from error


@wrong(says="Let the *last* error reach the caller as it is")
def raises_the_first_error(http, board, player, score):
    key, first = str(uuid.uuid4()), None
    for _ in range(4):
        try:
            return post(http, board, player, score, key).raise_for_status().json()
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500:
                raise
            first = first or error
        except httpx.TransportError as error:
            first = first or error
    raise first


@wrong(says="Return the answer's JSON, not the response itself")
def returns_the_response(http, board, player, score):
    key = str(uuid.uuid4())
    for left in (3, 2, 1, 0):
        try:
            response = post(http, board, player, score, key)
        except httpx.TransportError:
            if not left:
                raise
            continue
        if response.status_code < 500 or not left:
            break
    return response.raise_for_status()


@wrong(says="the contract asks for the next one at once")
def waits_between_attempts(http, board, player, score):
    key = str(uuid.uuid4())
    for left in (3, 2, 1, 0):
        try:
            response = post(http, board, player, score, key)
        except httpx.TransportError:
            if not left:
                raise
        else:
            if response.status_code < 500 or not left:
                return response.raise_for_status().json()
        time.sleep(0.1 * 2 ** (3 - left))
    return None


def sending(http, path, **body):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    for left in (3, 2, 1, 0):
        try:
            response = http.post(path, headers=key, **body)
        except httpx.TransportError:
            if not left:
                raise
            continue
        if response.status_code < 500 or not left:
            break
    return response.raise_for_status().json()


@wrong(says="pass the dictionary as `json=`")
def a_form(http, board, player, score):
    body = {"member": player, "score": score}
    return sending(http, f"/boards/{board}/scores", data=body)


@wrong(says="The request says that its body is of no type")
def json_without_its_type(http, board, player, score):
    body = f'{{"member": "{player}", "score": {score}}}'
    return sending(http, f"/boards/{board}/scores", content=body)


@wrong(says="the body: expected {'member'")
def player_for_member(http, board, player, score):
    return sending(http, f"/boards/{board}/scores", json={"player": player, "score": score})


@wrong(says="the path: expected")
def another_path(http, board, player, score):
    return sending(http, f"/boards/{board}", json={"member": player, "score": score})


@wrong(says="Nothing was sent through `http`")
def a_client_of_its_own(http, board, player, score):
    return sending(httpx, f"/boards/{board}/scores", json={"member": player, "score": score})


@wrong(says="the first one succeeded")
def posts_four_times_whatever_comes(http, board, player, score):
    key = str(uuid.uuid4())
    for _ in range(3):
        try:
            post(http, board, player, score, key)
        except httpx.TransportError:
            continue
    return post(http, board, player, score, key).raise_for_status().json()


@wrong(says="as if all were well")
def tries_again_within_a_try(http, board, player, score):
    def attempt(key, left):
        try:
            response = post(http, board, player, score, key)
            if response.is_server_error and left:
                return attempt(key, left - 1)  # and its last error begins again here
        except httpx.TransportError:
            if not left:
                raise
            return attempt(key, left - 1)
        response.raise_for_status()
        return response.json()

    return attempt(str(uuid.uuid4()), 3)
