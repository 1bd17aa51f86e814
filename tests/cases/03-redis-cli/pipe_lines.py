import hiredis

from tests.cases import right, wrong


@right
def formatted_bytes(scores):
    lines = []
    for player, score in scores.items():
        words = [b"ZADD", b"arcade:scores", str(score).encode(), player.encode()]
        lines.append(b"*4\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(each), each) for each in words))
    return b"".join(lines)


@right
def a_text_that_is_encoded_at_the_end(scores):
    text = ""
    for player, score in scores.items():
        words = ["zadd", "arcade:scores", f"{score}", player]
        text += f"*{len(words)}\r\n"
        for word in words:
            text += f"${len(word.encode())}\r\n{word}\r\n"
    return text.encode()


@right
def by_the_client_library(scores):
    return b"".join(
        hiredis.pack_command(("ZADD", "arcade:scores", score, player))
        for player, score in scores.items()
    )


def command(*words):
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    return (f"*{len(words)}\r\n" + "".join(parts)).encode()


def characters(*words):
    parts = [f"${len(word)}\r\n{word}\r\n" for word in words]
    return (f"*{len(words)}\r\n" + "".join(parts)).encode()


def commands(scores, write=command):
    return b"".join(
        write("ZADD", "arcade:scores", str(score), player) for player, score in scores.items()
    )


@wrong(says="A command in plain words is split at blanks and quotes")
def plain_lines(scores):
    return "".join(
        f"ZADD arcade:scores {score} {player}\r\n" for player, score in scores.items()
    ).encode()


@wrong(says="A length counts bytes, not characters")
def lengths_of_characters(scores):
    return commands(scores, characters)


@wrong(says="not with `\\n` alone")
def newlines_alone(scores):
    return commands(scores).replace(b"\r\n", b"\n")


@wrong(says="not with `\\n` alone")
def a_newline_behind_the_count(scores):
    return commands(scores).replace(b"*4\r\n", b"*4\n")


@wrong(says="return bytes, not a str")
def a_text(scores):
    return commands(scores).decode()


@wrong(says="the command's name among them")
def does_not_count_the_name(scores):
    return commands(scores).replace(b"*4\r\n", b"*3\r\n")


@wrong(says="the command's name among them")
def no_count(scores):
    return commands(scores).replace(b"*4\r\n", b"")


@wrong(says="ZADD wants the score before the member")
def player_before_score(scores):
    return b"".join(
        command("ZADD", "arcade:scores", player, str(score)) for player, score in scores.items()
    )


@wrong(says="the commands stand in the order of `scores`")
def sorted_by_score(scores):
    return commands(dict(sorted(scores.items(), key=lambda pair: -pair[1])))


@wrong(says="need as many commands, one ZADD each")
def all_in_one_command(scores):
    pairs = [word for player, score in scores.items() for word in (str(score), player)]
    return command("ZADD", "arcade:scores", *pairs)


@wrong(says="write the score in digits")
def scores_for_people_to_read(scores):
    return b"".join(
        command("ZADD", "arcade:scores", f"{score:,}", player) for player, score in scores.items()
    )


@wrong(says="A score below 0 keeps its minus sign")
def scores_without_their_sign(scores):
    return commands({player: abs(score) for player, score in scores.items()})


@wrong(says="what arcade:scores holds after these commands")
def nothing_below_zero(scores):
    return commands({player: max(score, 0) for player, score in scores.items()})


@wrong(says="need as many commands, one ZADD each")
def zeros_left_out(scores):
    return commands({player: score for player, score in scores.items() if score})


@wrong(says="need as many commands, one ZADD each")
def a_player_for_each_score(scores):
    players = {score: player for player, score in scores.items()}
    return commands({player: score for score, player in players.items()})


@wrong(says="what arcade:scores holds after these commands")
def wrong_scores(scores):
    return commands({player: abs(score) + 1 for player, score in scores.items()})


@wrong(says="too, is `$`, its length and digits")
def score_as_an_integer(scores):
    return b"".join(
        command("ZADD", "arcade:scores", "*", player).replace(b"$1\r\n*\r\n", b":%d\r\n" % score)
        for player, score in scores.items()
    )


@wrong(says="Nothing stands between two commands")
def an_empty_line_between(scores):
    return b"".join(commands({player: score}) + b"\r\n" for player, score in scores.items())


@wrong(says="No players need no command")
def an_empty_command_for_nobody(scores):
    return commands(scores) or command("ZADD", "arcade:scores")


@wrong(says="Return bytes, not list")
def a_list_of_commands(scores):
    return [commands({player: score}) for player, score in scores.items()]
