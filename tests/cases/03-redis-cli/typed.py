import json
import re
import shlex

from labkit.inspect.printing import quoted
from tests.cases import right, wrong


@right
def every_byte_as_hex(words):
    return " ".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in words)


@right
def what_can_stand_stands(words):
    def sign(byte):
        if byte in b'"\\':
            return "\\" + chr(byte)
        return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"

    return " ".join('"{}"'.format("".join(map(sign, word))) for word in words)


@right
def quotes_where_they_are_needed(words):
    return " ".join(
        word.decode() if re.fullmatch(rb"[\w:.*-]+", word) else quoted(word).decode()
        for word in words
    )


@right
def utf8_as_it_is(words):
    typed = []
    for word in words:
        word = word.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        word = re.sub(rb"[\x00-\x1f\x7f]", lambda found: b"\\x%02x" % ord(found[0]), word)
        typed.append('"' + word.decode(errors="backslashreplace") + '"')
    return " ".join(typed)


@right
def single_quotes_for_plain_words(words):
    typed = []
    for word in words:
        if all(32 <= byte < 127 for byte in word) and b"\\" not in word:
            typed.append("'" + word.decode().replace("'", "\\'") + "'")
        else:
            typed.append('"' + "".join(f"\\x{byte:02X}" for byte in word) + '"')
    return "  ".join(typed)


@wrong(says="takes the b for a part of the word")
def repr_of_bytes(words):
    return " ".join(repr(word) for word in words)


@wrong(says="In single quotes a backslash stands for itself")
def repr_without_the_b(words):
    return " ".join(repr(word)[1:] for word in words)


@wrong(says="A shell quotes otherwise")
def shlex_join(words):
    return shlex.join(word.decode(errors="surrogateescape") for word in words)


@wrong(says=r"redis-cli has no `\u`")
def json_dumps(words):
    return " ".join(json.dumps(word.decode("latin-1")) for word in words)


@wrong(says="an empty one is typed")
def empty_words_left_out(words):
    return " ".join(quoted(word).decode() if word else "" for word in words)


@wrong(says="A blank ends a word")
def joined_by_blanks(words):
    return " ".join(word.decode(errors="surrogateescape") for word in words)


@wrong(says="or both get it in one go")
def quotes_escaped_and_backslashes_not(words):
    def sign(byte):
        if byte == ord('"'):
            return '\\"'
        return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"

    return " ".join('"{}"'.format("".join(map(sign, word))) for word in words)


@wrong(says="the backslash is the first to get it")
def backslashes_doubled_last(words):
    typed = []
    for word in words:
        word = word.replace(b'"', b'\\"').replace(b"\n", b"\\n").replace(b"\\", b"\\\\")
        typed.append('"' + word.decode(errors="backslashreplace") + '"')
    return " ".join(typed)


@wrong(says="is more than one line")
def newlines_as_they_are(words):
    typed = []
    for word in words:
        word = word.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        typed.append('"' + word.decode(errors="backslashreplace") + '"')
    return " ".join(typed)


@wrong(says="is sent as UTF-8, in two bytes or more")
def latin_1(words):
    def sign(byte):
        if byte in b'"\\':
            return "\\" + chr(byte)
        return chr(byte) if byte >= 32 and byte != 127 else f"\\x{byte:02x}"

    return " ".join('"{}"'.format("".join(map(sign, word))) for word in words)


@wrong(says="not always UTF-8")
def strict_utf8(words):
    def sign(each):
        if each in '"\\':
            return "\\" + each
        return each if each >= " " else f"\\x{ord(each):02x}"

    return " ".join('"{}"'.format("".join(map(sign, word.decode()))) for word in words)


@wrong(says="What cannot be decoded was replaced")
def lossy_utf8(words):
    def sign(each):
        if each in '"\\':
            return "\\" + each
        return each if each >= " " else f"\\x{ord(each):02x}"

    return " ".join(
        '"{}"'.format("".join(map(sign, word.decode(errors="replace")))) for word in words
    )


@wrong(says="no keyboard has them")
def surrogates(words):
    def sign(each):
        if each in '"\\':
            return "\\" + each
        return each if each >= " " else f"\\x{ord(each):02x}"

    return " ".join(
        '"{}"'.format("".join(map(sign, word.decode(errors="surrogateescape")))) for word in words
    )


@wrong(says="takes a byte 0 for the end of the line")
def zero_bytes_as_they_are(words):
    def sign(byte):
        if byte in b'"\\':
            return "\\" + chr(byte)
        return chr(byte) if byte < 127 and byte not in b"\n\r" else f"\\x{byte:02x}"

    return " ".join('"{}"'.format("".join(map(sign, word))) for word in words)


@wrong(says="holds the control character")
def control_characters_as_they_are(words):
    raw = {0: "\\x00", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}

    def sign(byte):
        return raw.get(byte) or (chr(byte) if byte < 128 else f"\\x{byte:02x}")

    return " ".join('"{}"'.format("".join(map(sign, word))) for word in words)


@wrong(says="holds the control character '\\x7f'")
def delete_as_it_is(words):
    def sign(byte):
        if byte in b'"\\':
            return "\\" + chr(byte)
        return chr(byte) if 32 <= byte < 128 else f"\\x{byte:02x}"

    return " ".join('"{}"'.format("".join(map(sign, word))) for word in words)


@wrong(says="holds the control character '\\t'")
def tabs_between_the_words(words):
    return "\t".join(quoted(word).decode() for word in words)


@wrong(says="takes two digits, always")
def hex_of_one_digit(words):
    def sign(byte):
        if byte in b'"\\':
            return "\\" + chr(byte)
        return chr(byte) if 32 <= byte < 127 else f"\\x{byte:x}"

    return " ".join('"{}"'.format("".join(map(sign, word))) for word in words)


@wrong(says="The line is a text (str), not bytes")
def returns_bytes(words):
    return b" ".join(map(quoted, words))


@wrong(says="The line is a text (str), not NoneType")
def prints_it(words):
    print(" ".join(quoted(word).decode() for word in words))
