"""Cached functions.

`@cache.cached` puts a function in the place of the decorated one that has its parameters and is
written for them: a hit in memory is one look into a dictionary, one comparison with the clock, two
marks, and no lock. All else goes through the engine.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Self,
    TypedDict,
    TypeVar,
    overload,
)

from labkit.cache.engine import MISSING, Call
from labkit.cache.keys import CallKey, Template
from labkit.cache.options import Options, checked_tags

if TYPE_CHECKING:
    from labkit.cache.backends.memory import Entry
    from labkit.cache.engine import Engine
    from labkit.cache.options import TTL
    from labkit.cache.serializers import Serializer
    from labkit.cache.stats import Counts

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
Tags = Sequence[str] | Callable[..., Sequence[str]]

# Equality and type tell all values of these apart; those of float too, but for 0.0 and -0.0.
_SCALARS = frozenset({int, str, bytes, bool, type(None)})


class How(TypedDict, total=False):
    """How the calls of a function are cached.

    Attributes:
        key: A template such as `"article:{id}"` or `"article:{article.id}"`, whose fields are
            parameters, or a function that is called as the cached one and returns the key. Default:
            the function's name and all its arguments.
        tags: Templates of the tags that a value carries, or a function that is called as the cached
            one and returns them.
        ignore: The names of parameters that have no part in the key.
        typed: Whether 1, 1.0 and True are different arguments, as they are by default.
        version: Another one makes other keys; change it when the function's results change.
        name: What stands for the function in keys and statistics; default: its module and name.
        ttl: As in `Cache`, whose options hold where these are not given.
        jitter: As in `Cache`.
        negative_ttl: As in `Cache`.
        errors: As in `Cache`.
        sliding: As in `Cache`.
        stale_while_revalidate: As in `Cache`.
        stale_if_error: As in `Cache`.
        refresh_ahead: As in `Cache`.
        early: As in `Cache`.
        serializer: As in `Cache`. It decodes into the type that the function is annotated with.
        copy: As in `Cache`.
        lease: As in `Cache`.
    """

    key: str | Callable[..., str] | None
    tags: Tags
    ignore: Sequence[str]
    typed: bool
    version: int | str
    name: str | None
    ttl: TTL | Callable[[Any], TTL]
    jitter: float
    negative_ttl: TTL
    errors: Mapping[type[Exception], float | str]
    sliding: bool
    stale_while_revalidate: float | str
    stale_if_error: float | str
    refresh_ahead: float
    early: float
    serializer: Serializer
    copy: bool
    lease: float | str


class Recipe(Generic[P, R]):
    """How the calls of one function are cached.

    Args:
        engine: The cache.
        run: Carries out the steps of an operation.
        function: The function.
        options: How its values are kept.
        method: Whether the first parameter is bound when it is called.
        how: What else was said of it.
    """

    def __init__(
        self,
        engine: Engine,
        run: Callable[[Any], Any],
        function: Callable[P, R],
        options: Options,
        how: How,
        *,
        method: bool,
    ) -> None:
        name, tags = how.get("name"), how.get("tags", ())
        if isinstance(tags, str):
            raise TypeError(f"tags is the text {tags!r}; expected several tags: [{tags!r}]")
        self.ignore = frozenset(how.get("ignore", ()))
        self.function = function
        self.engine = engine
        self._run = run
        self.key_of = CallKey(
            function,
            key=how.get("key"),
            version=how.get("version", 1),
            ignore=how.get("ignore", ()),
            typed=how.get("typed", True),
            method=method,
            name=name,
        )
        if callable(tags):
            self._tags: Any = tags
        else:
            self._tags = None
            self._templates = [Template(tag, function) for tag in tags]
        self.counters = engine.counters_for(
            name or f"{function.__module__}.{function.__qualname__}"
        )
        self.sliding = options.sliding
        self.method = method
        self._options = options
        self._typed_options: Options | None = None
        self.fast: dict[Any, Any] = {}

    @property
    def options(self) -> Options:
        """How values are kept; the serializer decodes into the type that the function returns."""
        if self._typed_options is None:
            # As late as this, what the annotation names is defined.
            serializer = self._options.serializer.for_type(_return_type(self.function))
            self._typed_options = self._options.but(serializer=serializer)
        return self._typed_options

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """What the engine is asked for by a call with these arguments."""
        if self._tags is not None:
            tags = checked_tags(self._tags(*args, **kwargs))
        else:
            tags = tuple([template.of(args, kwargs) for template in self._templates])
        loader = functools.partial(self.function, *args, **kwargs)
        return Call(self.key_of(*args, **kwargs), tags, self.options, self.counters, loader)

    def slow(
        self, fast_key: tuple[Any, ...] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The value of a call that the fast dictionary does not have."""
        call = self.call(args, kwargs)
        entry = self._entry(call, fast_key)
        if entry is not None:
            return self.engine.hit(entry, self.counters)
        return self._run(self.engine.load(call))

    async def slow_async(
        self, fast_key: tuple[Any, ...] | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The value of a call that the fast dictionary does not have."""
        call = self.call(args, kwargs)
        entry = self._entry(call, fast_key)
        if entry is not None:
            return self.engine.hit(entry, self.counters)
        return await self._run(self.engine.load(call))

    def _entry(self, call: Call, fast_key: tuple[Any, ...] | None) -> Entry | None:
        """The entry in memory; it is put into the fast dictionary where it may stand there."""
        memory = self.engine.memory
        if memory is None or self.sliding:
            return None
        entry = self.engine.sure_entry(call.key)
        if fast_key is not None and _plain(fast_key):
            call.alias = self.fast, fast_key
            if entry is not None:
                memory.alias(entry, self.fast, fast_key)
        return entry

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Load the value anew and keep it, whatever is there."""
        return self._run(self.engine.load(self.call(args, kwargs), refresh=True))

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Drop the value of a call; answers whether there was one."""
        return self._run(self._invalidate(self.key_of(*args, **kwargs)))

    def _invalidate(self, key: str) -> Any:
        return bool((yield from self.engine.delete([key])))

    def set(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Keep a value for a call, as if the function had returned it."""
        return self._run(self.engine.set(self.call(args, kwargs), value))

    def peek(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """The value of a call if some tier has it, else MISSING; nothing is loaded."""
        return self._run(self.engine.get(self.call(args, kwargs), MISSING))

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call."""
        return self.key_of(*args, **kwargs)

    def bypass(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        return self.function(*args, **kwargs)

    def stats(self) -> Counts:
        """What was counted of the calls until now."""
        return self.counters.read()


_ATTRIBUTES = ("key", "refresh", "invalidate", "set", "peek", "bypass", "stats")


class Cached(Generic[P, R]):
    """A cached function, as a type checker sees it."""

    __wrapped__: Callable[P, R]
    prefix: str
    """What the keys of all calls begin with; `cache.invalidate(prefix=...)` drops them all."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The value of a call, from the nearest tier that has it, or computed."""
        raise NotImplementedError

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call."""
        raise NotImplementedError

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute the value anew and keep it, whatever is there."""
        raise NotImplementedError

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the value of a call; answers whether there was one."""
        raise NotImplementedError

    def set(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Keep a value for a call, as if the function had returned it."""
        raise NotImplementedError

    def peek(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The value of a call if some tier has it, else MISSING; nothing is computed."""
        raise NotImplementedError

    def bypass(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        raise NotImplementedError

    def stats(self) -> Counts:
        """What was counted of the calls until now."""
        raise NotImplementedError

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(
        self: Cached[Concatenate[S, Q], R], instance: S, owner: Any = None
    ) -> Cached[Q, R]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A method, bound to its instance."""
        raise NotImplementedError


class AsyncCached(Generic[P, R]):
    """A cached coroutine function, as a type checker sees it; see `Cached`."""

    __wrapped__: Callable[P, Coroutine[Any, Any, R]]
    prefix: str

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The value of a call, from the nearest tier that has it, or computed."""
        raise NotImplementedError

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call."""
        raise NotImplementedError

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute the value anew and keep it, whatever is there."""
        raise NotImplementedError

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Drop the value of a call; answers whether there was one."""
        raise NotImplementedError

    async def set(self, value: R, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Keep a value for a call, as if the function had returned it."""
        raise NotImplementedError

    async def peek(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The value of a call if some tier has it, else MISSING; nothing is computed."""
        raise NotImplementedError

    async def bypass(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself."""
        raise NotImplementedError

    def stats(self) -> Counts:
        """What was counted of the calls until now."""
        raise NotImplementedError

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(
        self: AsyncCached[Concatenate[S, Q], R], instance: S, owner: Any = None
    ) -> AsyncCached[Q, R]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A method, bound to its instance."""
        raise NotImplementedError


class _Method:
    """A cached method: found on an instance or a class, it is bound to it, and so is all it can."""

    def __init__(self, wrapper: Any, *, of_class: bool) -> None:
        functools.update_wrapper(self, wrapper.__wrapped__)
        self._wrapper = wrapper
        self._of_class = of_class
        self.prefix = wrapper.prefix
        for name in _ATTRIBUTES:
            setattr(self, name, getattr(wrapper, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._wrapper(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if self._of_class:
            return _Bound(self._wrapper, owner if owner is not None else type(instance))
        return self if instance is None else _Bound(self._wrapper, instance)


class _Bound:
    # A cached method of one instance or class. Its docstring is the method's.

    __slots__ = ("__self__", "_wrapper")

    def __init__(self, wrapper: Any, owner: Any) -> None:
        self._wrapper = wrapper
        self.__self__ = owner

    __doc__ = property(lambda self: self._wrapper.__doc__)

    @property
    def __signature__(self) -> inspect.Signature:
        """The parameters but the first, for `inspect.signature`."""
        whole = inspect.signature(self._wrapper)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._wrapper(self.__self__, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapper, name)
        if name == "set":
            return lambda value, /, *args, **kwargs: found(value, self.__self__, *args, **kwargs)
        if name in _ATTRIBUTES and name != "stats":
            return functools.partial(found, self.__self__)
        return found


def cached(
    engine: Engine,
    run: Callable[[Any], Any],
    function: Any,
    options: Options,
    how: How,
    *,
    coroutines: bool,
) -> Any:
    """What stands in the place of a decorated function.

    Raises:
        TypeError: It is no function, or one of the kind that this cache cannot call.
    """
    if unknown := sorted(set(how) - set(How.__annotations__)):
        raise TypeError(
            f"cached() got {', '.join(unknown)}; it knows {', '.join(sorted(How.__annotations__))}"
        )
    changes = {name: value for name, value in how.items() if name in Options.__dataclass_fields__}
    options = options.but(**changes)
    of_class = isinstance(function, classmethod)
    of_nothing = isinstance(function, staticmethod)
    if of_class or of_nothing:
        function = function.__func__
    if not inspect.isfunction(function):
        raise TypeError(
            f"cached() got {function!r}; expected a function, a method, or a classmethod or "
            "staticmethod of one"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} is a generator, which can be read only once; return a list"
        )
    if inspect.iscoroutinefunction(function) != coroutines:
        raise TypeError(
            f"{function.__qualname__} is a plain function; use a Cache, not an AsyncCache, or "
            "write `async def`"
            if coroutines
            else f"{function.__qualname__} is a coroutine function; use an AsyncCache"
        )
    scope = function.__qualname__.rpartition(".")[0]
    in_class = bool(scope) and not scope.endswith(">")  # of a function, a comprehension
    method = of_class or (in_class and not of_nothing)
    recipe = Recipe(engine, run, function, options, how, method=method)
    wrapper = _wrapper(recipe, coroutines)
    if method:
        return _Method(wrapper, of_class=of_class)
    return staticmethod(wrapper) if of_nothing else wrapper


def _wrapper(recipe: Recipe[..., Any], coroutines: bool) -> Any:
    """A function with the signature of the cached one; the module says what it does."""
    function, memory = recipe.function, recipe.engine.memory
    parameters = list(inspect.signature(function).parameters.values())
    if any(parameter.name.startswith("_cache_") for parameter in parameters):
        raise TypeError(f"{function.__qualname__} has a parameter whose name begins with _cache_")
    fast_key = None if recipe.sliding else _fast_key(recipe, parameters)
    scope: dict[str, Any] = {"_cache_slow": recipe.slow_async if coroutines else recipe.slow}
    lines = [f"{'async ' * coroutines}def cached({_declared(parameters)}):", " _cache_key = None"]
    if memory is not None and fast_key is not None:
        scope |= {
            "_cache_fast": recipe.fast.get,
            "_cache_now": memory.clock,
            "_cache_touch": memory.touch,
            "_cache_counters": recipe.counters,
            "_cache_type": type,
        }
        counting = recipe.engine.counting
        if counting is not None:
            scope["_cache_counting"] = counting
        lines[1:] = [
            " try:",
            f"  _cache_entry = _cache_fast(_cache_key := {fast_key})",
            " except TypeError:",  # an argument has no hash, and so is no scalar
            "  _cache_entry = _cache_key = None",
            " if _cache_entry is not None and _cache_entry.sure > _cache_now():",
            "  _cache_entry.visited = True",
            *([] if memory.marks else ["  _cache_touch(_cache_entry)"]),
            "  _cache_counters.memory_hits += 1.0",
            *([] if counting is None else ["  _cache_counting(_cache_entry.key)"]),
            "  _cache_open = _cache_entry.open",
            "  _cache_value = _cache_entry.value",
            "  return _cache_value if _cache_open is None else _cache_open(_cache_value)",
        ]
    positional, named = _passed_on(parameters)
    lines.append(
        f" return {'await ' * coroutines}_cache_slow(_cache_key, ({positional}), {{{named}}})"
    )
    exec("\n".join(lines), scope)
    wrapper: Any = functools.update_wrapper(scope["cached"], function)
    # As the signature says: what another decorator has wrapped has none of its own.
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    by_name = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    wrapper.__defaults__ = tuple(v for name, v in defaults.items() if name not in by_name)
    wrapper.__kwdefaults__ = {name: v for name, v in defaults.items() if name in by_name}
    wrapper.prefix = recipe.key_of.prefix
    for name in _ATTRIBUTES:
        setattr(wrapper, name, getattr(recipe, name))
    return wrapper


def _declared(parameters: Sequence[inspect.Parameter]) -> str:
    """The parameters as they stand in a `def`; the defaults are put in later."""
    empty = inspect.Parameter.empty
    bare = [
        parameter.replace(annotation=empty, default=empty if parameter.default is empty else None)
        for parameter in parameters
    ]
    return str(inspect.Signature(bare))[1:-1]


def _fast_key(recipe: Recipe[..., Any], parameters: Sequence[inspect.Parameter]) -> str | None:
    """The key in the fast dictionary: the types of the arguments, which decide first, and they."""
    counted = [p for p in parameters if p.name not in recipe.ignore]
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in counted):
        return None
    if recipe.method and counted[:1] == list(parameters[:1]):
        return None  # objects are no scalars
    names = [p.name for p in counted]
    return f"({''.join(f'_cache_type({name}),' for name in names)}{','.join(names)})"


def _plain(fast_key: tuple[Any, ...]) -> bool:
    """Whether all arguments are scalars, which equality and type tell apart."""
    half = len(fast_key) // 2
    kinds = fast_key[:half]
    return _SCALARS.issuperset(kinds) or all(
        kind in _SCALARS or (kind is float and value != 0)
        for kind, value in zip(kinds, fast_key[half:], strict=True)
    )


def _passed_on(parameters: Sequence[inspect.Parameter]) -> tuple[str, str]:
    """How the wrapper hands on its arguments: what stands in a tuple, and in a dictionary."""
    positional, named = "", ""
    for parameter in parameters:
        name = parameter.name
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += f"*{name},"
        elif parameter.kind is parameter.VAR_KEYWORD:
            named += f"**{name},"
        elif parameter.kind is parameter.KEYWORD_ONLY:
            named += f"{name!r}: {name},"
        else:
            positional += f"{name},"
    return positional, named


def _return_type(function: Callable[..., Any]) -> Any:
    try:
        return typing.get_type_hints(function).get("return", Any)
    except Exception:  # an annotation may say anything, also what does not exist
        return Any
