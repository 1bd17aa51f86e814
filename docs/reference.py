"""Write docs/reference/: one page for each public class of labkit.cache, out of its docstrings.

python -m docs.reference
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import shutil
import typing
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("reference")
MODULES = {
    "labkit.cache": "Caches, tiers, strategies and sources",
    "labkit.cache.smart": "The cache that knows its entities",
    "labkit.cache.entities": "Entities and how they belong to each other",
    "labkit.cache.policies": "How entities are cached, as data",
    "labkit.cache.curves": "How many reads would miss with another size",
    "labkit.cache.invalidation": "What an event makes old",
    "labkit.cache.lifetimes": "Times to live that follow from what is read and changed",
    "labkit.cache.known": "What exists",
    "labkit.cache.warming": "Filling a cache before its readers come",
    "labkit.cache.web": "Responses of FastAPI",
    "labkit.cache.looking": "What the tiers have of a key",
    "labkit.cache.monitor": "All processes on a page",
    "labkit.cache.metrics": "Figures for Prometheus and OpenTelemetry",
}
_BASES = {"Hub"}  # told with those that derive from them
_SECTION = re.compile(r"(?m)^(Args|Attributes|Raises|Returns|Yields|Example):\n")
_ENTRY = re.compile(r"(?m)^    (\S[^\n]*?): ")


def pages() -> dict[str, str]:
    """The pages, by the names of their files."""
    made: dict[str, str] = {}
    index = ["# Reference of labkit.cache", ""]
    index += ["One page a class; the [guide](../cache.md) says what they are for.", ""]
    for module, title in MODULES.items():
        found = {name: each for name, each in _public(module) if f"{name}.md" not in made}
        made |= {f"{name}.md": _page(name, each, module) for name, each in found.items()}
        index += [f"## {title}", "", "| | |", "| --- | --- |"]
        index += [f"| [`{name}`]({name}.md) | {_first(each)} |" for name, each in found.items()]
        index.append("")
    return {"README.md": "\n".join(index)} | made


def main() -> None:
    """Write them."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")


def _public(module: str) -> list[tuple[str, Any]]:
    """What a module offers: its classes and functions, with its own name for each."""
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [
        name for name, each in vars(found).items() if getattr(each, "__module__", "") == module
    ]
    shown = [name for name in names if not name.startswith("_") and name not in _BASES]
    pairs = [(name, getattr(found, name)) for name in shown]
    return [
        (name, each) for name, each in pairs if inspect.isclass(each) or inspect.isfunction(each)
    ]


def _page(name: str, thing: Any, module: str) -> str:
    lines = [f"# {name}", "", f"`from {module} import {name}`", ""]
    if inspect.isfunction(thing):
        lines += _told(name, thing)
        return "\n".join(lines).rstrip() + "\n"
    if not _plain_error(thing):
        lines += ["```python", f"{name}{_signature(thing)}", "```", ""]
    lines += _documented(thing)
    maker = _made_by(thing)
    if maker is not None:
        lines += _documented(maker)[2:]  # without what it is
    for member, function in _methods(thing):
        lines += [f"## {member}", "", *_told(member, function)]
    return "\n".join(lines).rstrip() + "\n"


def _told(name: str, function: Any) -> list[str]:
    """A function or a property: its signatures, and what is said of it."""
    if isinstance(function, property):
        return _documented(function.fget)
    plain = inspect.unwrap(getattr(function, "__func__", function))
    ways = typing.get_overloads(plain) or [plain]
    # Of two faces with one signature the blocking one is shown; the other is awaited.
    begin = "async def " if inspect.iscoroutinefunction(plain) else "def "
    return ["```python", f"{begin}{name}{_signature(ways[0])}", "```", "", *_documented(plain)]


def _signature(thing: Any) -> str:
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return "(...)"
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    text = str(signature.replace(parameters=parameters))
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    if inspect.isclass(thing):
        text = text.removesuffix(" -> None")
    return _folded(re.sub(r"<[^<>]*>", "...", text))


def _folded(text: str) -> str:
    """A long signature with a parameter a line."""
    if len(text) <= 90:
        return text
    inner, depth, parts = text[1 : text.rindex(")")], 0, [""]
    for sign in inner:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    rest = text[text.rindex(")") + 1 :]
    return "(\n" + "".join(f"    {part.strip()},\n" for part in parts) + ")" + rest


def _documented(thing: Any) -> list[str]:
    """A docstring as Markdown: its sections as lists, its examples as code."""
    text = inspect.getdoc(thing) or ""
    first, *rest = _SECTION.split(text)
    lines = [_code(first).rstrip(), ""]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        if title == "Example":
            lines += ["```pycon", inspect.cleandoc(body), "```", ""]
            continue
        body, _, after = body.partition("\n\n")
        lines += [f"**{title}**", ""]
        named = _ENTRY.split("\n" + body if not body.startswith("    ") else body)[1:]
        if title in ("Returns", "Yields") or not named:
            lines += [" ".join(body.split()), ""]
        else:
            for entry, said in zip(named[::2], named[1::2], strict=True):
                lines.append(f"- `{entry}`: {' '.join(said.split())}")
            lines.append("")
        if after.strip():
            lines += [_code(inspect.cleandoc(after)), ""]
    return lines


def _code(text: str) -> str:
    """Indented blocks of a docstring, fenced."""
    return re.sub(
        r"(?m)(?:^ {4}[^\n]*\n?(?:\n(?= {4}))?)+",
        lambda block: f"```python\n{inspect.cleandoc(block[0])}\n```\n",
        text,
    )


def _methods(thing: Any) -> list[tuple[str, Any]]:
    """The public methods and properties, of bases too, in the order of their definitions."""
    found: dict[str, Any] = {}
    for base in reversed(thing.__mro__):
        if not base.__module__.startswith("labkit"):
            continue
        for name, each in vars(base).items():
            function = each.__func__ if isinstance(each, (classmethod, staticmethod)) else each
            described = inspect.isfunction(function) or isinstance(each, property)
            if described and not name.startswith("_") and inspect.getdoc(function):
                found[name] = each
    return list(found.items())


def _made_by(thing: Any) -> Any:
    """The base that says what a class is made of, where it does not say so itself."""
    if "Args:\n" in (thing.__doc__ or "") or "__init__" in vars(thing):
        return None
    bases = (base for base in thing.__mro__[1:] if base.__module__.startswith("labkit"))
    return next((base for base in bases if "Args:\n" in (base.__doc__ or "")), None)


def _first(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _plain_error(thing: Any) -> bool:
    own = issubclass(thing, BaseException) and "__init__" not in vars(thing)
    return own and not dataclasses.is_dataclass(thing)


if __name__ == "__main__":
    main()
