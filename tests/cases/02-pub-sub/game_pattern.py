import fnmatch
import glob
import re

from tests.cases import right, wrong


@right
def a_backslash_before_each_special_sign(game):
    name = "".join(f"\\{each}" if each in "*?[]^-\\" else each for each in game)
    return f"arcade:game:{name}:*"


@right
def replaced_one_after_the_other_backslash_first(game):
    for sign in ("\\", "*", "?", "[", "]"):
        game = game.replace(sign, "\\" + sign)
    return "arcade:game:" + game + ":*"


@right
def by_a_regular_expression(game):
    return "arcade:game:{}:*".format(re.sub(r"([*?\[\]^\\])", r"\\\1", game))


@right
def a_backslash_before_everything(game):
    return "arcade:game:" + "".join("\\" + each for each in game) + ":*"


@right
def re_escape(game):
    return f"arcade:game:{re.escape(game)}:*"


@right
def translated(game):
    escapes = str.maketrans({each: f"\\{each}" for each in "*?[]^\\"})
    return f"arcade:game:{game.translate(escapes)}:*"


@right
def classes_of_one_sign(game):
    signs = {"*": "[*]", "?": "[?]", "[": "[[]", "\\": "\\\\"}
    return "arcade:game:" + "".join(signs.get(each, each) for each in game) + ":*"


@wrong(says="have a meaning in a pattern")
def the_name_as_it_is(game):
    return f"arcade:game:{game}:*"


@wrong(says="A backslash in a name needs one as well")
def forgets_the_backslash_itself(game):
    for sign in "*?[]^":
        game = game.replace(sign, "\\" + sign)
    return f"arcade:game:{game}:*"


@wrong(says="does not hear arcade:game:")
def the_backslash_last(game):
    for sign in "*?[]\\":
        game = game.replace(sign, "\\" + sign)
    return f"arcade:game:{game}:*"


@wrong(says="`*`, `?`, `[` and `]` have a meaning in a pattern")
def stars_alone(game):
    return "arcade:game:" + game.replace("\\", "\\\\").replace("*", "\\*") + ":*"


@wrong(says="hears arcade:game:")
def forgets_question_marks(game):
    return "arcade:game:" + re.sub(r"([*\[\]\\])", r"\\\1", game) + ":*"


@wrong(says="`*`, `?`, `[` and `]` have a meaning in a pattern")
def forgets_brackets(game):
    return "arcade:game:" + re.sub(r"([*?\\])", r"\\\1", game) + ":*"


@wrong(says="A backslash in a name needs one as well")
def glob_escape(game):
    return f"arcade:game:{glob.escape(game)}:*"


@wrong(says="does not hear arcade:game:")
def every_sign_in_a_class(game):
    return "arcade:game:" + "".join(f"[{each}]" for each in game) + ":*"


@wrong(says="hears arcade:game:")
def a_question_mark_for_each_special_sign(game):
    return "arcade:game:" + re.sub(r"[*?\[\]^\\]", "?", game) + ":*"


@wrong(says="does not hear arcade:game:")
def special_signs_left_out(game):
    return "arcade:game:" + re.sub(r"[*?\[\]^\\]", "", game) + ":*"


@wrong(says="The name stands between two colons")
def no_colon_behind_the_name(game):
    return "arcade:game:" + re.escape(game) + "*"


@wrong(says="The name stands between two colons")
def no_colon_before_the_name(game):
    return "arcade:game:*" + re.escape(game) + ":*"


@wrong(says="The name stands between two colons")
def everything_of_all_games(game):
    return "arcade:game:*"


@wrong(says="too. The name stands between two colons")
def anywhere_in_the_channel(game):
    return f"arcade:*:{re.escape(game)}:*"


@wrong(says="`.*` and other regular expressions are not what PSUBSCRIBE reads")
def a_regular_expression(game):
    return f"arcade:game:{re.escape(game)}:.*"


@wrong(says="`.*` and other regular expressions are not what PSUBSCRIBE reads")
def translated_to_a_regular_expression(game):
    return fnmatch.translate(f"arcade:game:{game}:*")


@wrong(says="does not hear arcade:game:")
def one_part_behind_the_name(game):
    return f"arcade:game:{re.escape(game)}:[^:]*"[:-1]


@wrong(says="does not hear arcade:game:")
def the_scores_alone(game):
    return f"arcade:game:{re.escape(game)}:score"


@wrong(says="does not hear arcade:game:")
def one_sign_of_the_event(game):
    return f"arcade:game:{re.escape(game)}:?"


@wrong(says="does not hear arcade:game:")
def no_prefix(game):
    return f"game:{re.escape(game)}:*"


@wrong(says="does not hear arcade:game:")
def in_quotes(game):
    return f"'arcade:game:{re.escape(game)}:*'"


@wrong(says="does not hear arcade:game:")
def the_example_typed_in(game):
    return "arcade:game:pong:*"


@wrong(says="The pattern is a text, not list")
def a_list_of_patterns(game):
    return [f"arcade:game:{re.escape(game)}:*"]


@wrong(says="The pattern is a text, not NoneType")
def forgets_to_return(game):
    pattern = f"arcade:game:{re.escape(game)}:*"
    print(pattern)


@wrong(says="The pattern is a text, not Pattern")
def a_compiled_expression(game):
    return re.compile(f"arcade:game:{re.escape(game)}:.*")
