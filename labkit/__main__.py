"""The `labkit` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from labkit.connection import CannotConnect
from labkit.inspect import command as inspecting

app = typer.Typer(
    help="The workbook's tools: for learners lab, doctor, progress and reset; "
    "for instructors build, validate and grade; for everybody serve, inspect and top.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
progress_app = typer.Typer(help="Show your progress, or take it with you.", no_args_is_help=False)
app.add_typer(progress_app, name="progress")
serve_app = typer.Typer(help="Run one of labkit's services.", no_args_is_help=True)
app.add_typer(serve_app, name="serve")

comments_app = typer.Typer(
    help="The views of comments that Redis has, and the database.", no_args_is_help=True
)
app.add_typer(comments_app, name="comments")
app.add_typer(inspecting.app, name="inspect")
app.command()(inspecting.top)

Lessons = Annotated[
    list[str] | None, typer.Argument(help="Lessons such as 01-data-structures; all without one.")
]


Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0)]
RedisURL = Annotated[
    str | None,
    typer.Option(
        help="The URL of a Redis server; without it LABKIT_REDIS_URL's, or one of its own."
    ),
]


def _level(given: str) -> str:
    if given not in _LEVELS:
        raise typer.BadParameter(f"{given!r} is no level; expected {', '.join(_LEVELS)}.")
    return given


_LEVELS = ("debug", "info", "warning", "error")
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.", callback=_level)]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(
    context: typer.Context,
    instructor: Annotated[
        bool, typer.Option("--instructor", help="With nbgrader's formgrader.")
    ] = False,
) -> None:
    """Open JupyterLab on the first lesson. Other options go to JupyterLab, as --no-browser."""
    from labkit.course import jupyter

    raise typer.Exit(jupyter.lab(context.args, instructor=instructor))


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Say what this machine has, and what to do about the rest."""
    from labkit.course import doctor

    raise typer.Exit(doctor.main(as_json=json))


@app.command()
def build(lessons: Lessons = None) -> None:
    """Execute solutions/ and generate notebooks/ from them."""
    from labkit.course import build

    build.build(lessons or ())
    print(f"Built {', '.join(lessons or []) or 'all lessons'}.")


@app.command()
def validate(lessons: Lessons = None) -> None:
    """Fail unless each solution earns full points and each learner's version none."""
    from labkit.course import validate

    problems = validate.validate(lessons or ())
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise typer.Exit(1)
    print(f"Valid: {', '.join(lessons or []) or 'all lessons'}.")


@app.command()
def grade(
    lesson: Annotated[str, typer.Argument(help="The lesson, such as 01-data-structures.")],
    course: Annotated[
        Path, typer.Option(help="The course folder, with submitted/ in it.")
    ] = Path(),
) -> None:
    """Grade every submission of a lesson: autograde, feedback, and a table of grades."""
    from labkit.course import grade

    raise typer.Exit(grade.main(lesson, course))


@app.command()
def reset(
    lesson: Annotated[str, typer.Argument(help="The lesson, such as 00-start-here.")],
) -> None:
    """Put a lesson's notebook back as it was; yours is kept beside it as a backup."""
    from labkit.course import files

    print(files.reset(lesson))


@progress_app.callback(invoke_without_command=True)
def progress(context: typer.Context) -> None:
    """Show the points in every lesson."""
    if context.invoked_subcommand is None:
        from labkit.course import files
        from labkit.course.lesson import show_progress

        show_progress(files.progress())


@progress_app.command("export")
def export_progress(
    file: Annotated[Path, typer.Argument(help="The zip file to write.")],
) -> None:
    """Write your notebooks and progress to one zip file."""
    from labkit.course import files

    print(files.export(file))


@progress_app.command("restore")
def restore_progress(
    file: Annotated[Path, typer.Argument(help="A file that `labkit progress export` wrote.")],
) -> None:
    """Bring notebooks and progress back from a zip file; what is replaced is kept as a backup."""
    from labkit.course import files

    print(files.restore(file))


@serve_app.callback()
def serve() -> None:
    """Run one of labkit's services."""


@serve_app.command("leaderboard")
def serve_leaderboard(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    redis: RedisURL = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:SCOPE:SECRET",
            help="An API key, with scope read, write or admin; may come several times. Other users "
            "of this machine can see it: the environment variable LABKIT_API_KEYS hides it.",
        ),
    ] = None,
    rate_limit: Annotated[
        str | None, typer.Option(help="Requests that a client may send, such as 100/1m.")
    ] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="An origin whose pages may use the service.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Put before every path, such as /v1.")] = "",
    log_level: LogLevel = "info",
) -> None:
    """Serve leaderboards over HTTP: REST, Server-Sent Events and WebSocket."""
    try:
        from labkit.leaderboard.api import command
    except ModuleNotFoundError as error:
        _miss(error, "api")
    try:
        command.run(
            host=host,
            port=port,
            redis=redis,
            keys=key or (),
            rate_limit=rate_limit,
            cors_origins=cors_origin or (),
            prefix=prefix,
            log_level=log_level,
        )
    except (ValueError, OSError, CannotConnect) as error:
        _fail(str(error))


@serve_app.command("chat")
def serve_chat(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    redis: RedisURL = None,
    log_level: LogLevel = "info",
) -> None:
    """Serve chat rooms, and a page to chat on."""
    try:
        from labkit.chat.api import command
    except ModuleNotFoundError as error:
        _miss(error, "api")
    try:
        command.run(host=host, port=port, redis=redis, log_level=log_level)
    except (OSError, CannotConnect) as error:
        _fail(str(error))


@serve_app.command("newsroom")
def serve_newsroom(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    redis: RedisURL = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="The URL of a database, such as sqlite:///news.db; without it "
            "LABKIT_DATABASE_URL's, or one in memory."
        ),
    ] = None,
    articles: Annotated[
        int, typer.Option(help="How many articles an empty database gets.", min=0)
    ] = 2000,
    latency: Annotated[
        str, typer.Option(help="How long each read of the database takes more, such as 20ms.")
    ] = "0s",
    editable: Annotated[bool, typer.Option("--editable", help="Let articles be edited.")] = False,
    editor_key: Annotated[
        str | None,
        typer.Option(
            help="What editors have to show. Other users of this machine can see it: the "
            "environment variable LABKIT_EDITOR_KEY hides it."
        ),
    ] = None,
    comments: Annotated[
        bool, typer.Option("--comments", help="Let readers comment, reply and vote.")
    ] = False,
    log_level: LogLevel = "info",
) -> None:
    """Serve a news site whose pages come out of the cache, and say so."""
    try:
        from labkit.site import command
    except ModuleNotFoundError as error:
        _miss(error, "api,news")
    try:
        command.run(
            host=host,
            port=port,
            redis=redis,
            database=database,
            articles=articles,
            latency=latency,
            editable=editable,
            editor_key=editor_key,
            comments=comments,
            log_level=log_level,
        )
    except (ValueError, OSError, CannotConnect) as error:
        _fail(str(error))


@serve_app.command("cache-monitor")
def serve_cache_monitor(
    name: Annotated[
        str, typer.Option(help="What the processes of the application report under.")
    ] = "cache",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    redis: Annotated[
        str | None,
        typer.Option(
            "--redis",
            "--redis-url",
            help="The URL of the Redis server that they report to; without it "
            "LABKIT_REDIS_URL's, or one of its own.",
        ),
    ] = None,
    every: Annotated[str, typer.Option(help="How often reports are gathered.")] = "2s",
    demo: Annotated[
        bool, typer.Option("--demo", help="With a small traffic of its own, to be looked at.")
    ] = False,
    log_level: LogLevel = "info",
) -> None:
    """Serve a page that shows what the caches of an application do, in all its processes."""
    try:
        from labkit.cache.monitor import command
    except ModuleNotFoundError as error:
        _miss(error, "api")
    try:
        command.run(
            host=host,
            port=port,
            redis=redis,
            name=name,
            every=every,
            demo=demo,
            log_level=log_level,
        )
    except (ValueError, OSError, CannotConnect) as error:
        _fail(str(error))


DatabaseURL = Annotated[
    str | None,
    typer.Option(help="The URL of the database; without it LABKIT_DATABASE_URL's."),
]
Namespace = Annotated[str, typer.Option(help="What the keys in Redis begin with.")]


@comments_app.command("rebuild")
def comments_rebuild(
    redis: RedisURL = None, database: DatabaseURL = None, namespace: Namespace = "news"
) -> None:
    """Make the views of comments anew from the database, while readers and writers go on."""
    _comments("run_rebuild", redis, database, namespace)


@comments_app.command("check")
def comments_check(
    redis: RedisURL = None, database: DatabaseURL = None, namespace: Namespace = "news"
) -> None:
    """Compare the views of comments with the database; fail where they differ."""
    if not _comments("run_check", redis, database, namespace):
        raise typer.Exit(1)


def _comments(action: str, redis: str | None, database: str | None, namespace: str) -> bool | None:
    try:
        from labkit.site.comments import command
    except ModuleNotFoundError as error:
        _miss(error, "api,news")
    run = {"run_rebuild": command.run_rebuild, "run_check": command.run_check}[action]
    try:
        return run(redis=redis, database=database, namespace=namespace)
    except (ValueError, OSError, LookupError, RuntimeError, CannotConnect) as error:
        _fail(str(error))


def _miss(error: ModuleNotFoundError, extras: str) -> NoReturn:
    _fail(
        f"{error.name} is missing: make install brings it, and so does pip install '.[{extras}]' "
        "in a copy of the project"
    )


def _fail(sentence: str) -> NoReturn:
    print(f"labkit: {sentence}", file=sys.stderr)
    raise typer.Exit(1)


def main() -> None:
    """Run the command; an error that we raise is one sentence, not a traceback."""
    from labkit.course.errors import CourseError

    try:
        app()
    except (CourseError, LookupError) as error:
        print(f"labkit: {error.args[0] if error.args else error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
