"""What editors do: change the headline and the text of an article. Only where the app is editable.

Without a key, requests have to come from this very machine and to ask for it by a name of its own,
so that no page from elsewhere reaches the site through a reader's browser. With a key, whoever
shows it may edit. In either case the form has to be one of the site's own.
"""

import hmac
import os
from html import escape
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from labkit.newsroom import Article, Conflict, NotFound
from labkit.serving import is_loopback
from labkit.site import answers
from labkit.site.frame import document
from labkit.site.reading import SiteOf, nothing_there, number_of

router = APIRouter()

KEY_VARIABLE = "LABKIT_EDITOR_KEY"
"""The environment variable with the editors' key, where none is given."""

SHORTEST_KEY = 16

_MOST = 200_000  # bytes of a form
_FIELDS = 10


class Editors:
    """Who may edit.

    Args:
        key: What an editor has to show; None: that of the environment variable LABKIT_EDITOR_KEY,
            and without it whoever is on this machine may edit.

    Raises:
        ValueError: The key is too short.
    """

    def __init__(self, key: str | None = None) -> None:
        key = key if key is not None else os.environ.get(KEY_VARIABLE) or None
        if key is not None and len(key) < SHORTEST_KEY:
            raise ValueError(
                f"the editors' key has {len(key)} characters; expected at least {SHORTEST_KEY}"
            )
        self._key = key

    @property
    def keyed(self) -> bool:
        """Whether editors have to show a key."""
        return self._key is not None

    def check(self, request: Request, key: str | None) -> None:
        """Let a request pass that may edit.

        Raises:
            HTTPException: It may not.
        """
        check_origin(request)
        host = request.headers.get("host", "")
        if self._key is not None:
            if not hmac.compare_digest((key or "").encode(), self._key.encode()):
                raise HTTPException(403, "The editors' key is another one.")
        elif request.client is None or not (
            is_loopback(request.client.host) and is_loopback(_without_port(host))
        ):
            raise HTTPException(403, "Without a key, only this machine itself may edit.")


def check_origin(request: Request) -> None:
    """Let a request pass that no page from elsewhere has made.

    Raises:
        HTTPException: It comes from elsewhere.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host", ""):
        raise HTTPException(403, "The form is not one of this site.")


def _without_port(host: str) -> str:
    """The name in a Host header; what cannot be read is no name."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


async def editors_of(request: Request) -> Editors:
    """Who may edit this application."""
    editors: Editors = request.app.state.editors
    return editors


async def body_of(request: Request) -> bytes:
    """What a request carries.

    Raises:
        HTTPException: It is too large.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            raise HTTPException(413, f"The form is too large; expected at most {_MOST:,} bytes.")
    return body


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form.

    Raises:
        HTTPException: It is too large, or none.
    """
    return fields_of(await body_of(request))


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of a form; of those with the same name, the last.

    Raises:
        HTTPException: It is none.
    """
    try:
        fields = parse_qs(
            body.decode(), keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"
        )
    except ValueError:
        raise HTTPException(400, "The form cannot be read.") from None
    return {name: values[-1] for name, values in fields.items()}


EditorsOf = Annotated[Editors, Depends(editors_of)]
Form = Annotated[dict[str, str], Depends(form_of)]


@router.get("/articles/{article}/edit")
def edit_form(site: SiteOf, editors: EditorsOf, article: str) -> Response:
    """The form to edit an article with, as the database has it."""
    number = number_of(article)
    stored = site.db.article(number) if number is not None else None
    return nothing_there() if stored is None else answers.html(_form(stored, editors))


@router.post("/articles/{article}")
def edit(site: SiteOf, editors: EditorsOf, request: Request, article: str, form: Form) -> Response:
    """Change the headline and the text of an article."""
    editors.check(request, form.get("key"))
    number = number_of(article)
    if number is None:
        return nothing_there()
    version, body = form.get("version"), form.get("body")
    if version is not None and number_of(version) is None:
        raise HTTPException(400, "The version is no number.")
    try:
        site.write(
            site.db.edit_article,
            number,
            title=form.get("title"),
            body=body and body.replace("\r\n", "\n"),  # as browsers send it
            if_version=None if version is None else number_of(version),
        )
    except NotFound:
        return nothing_there()
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    except Conflict:
        raise HTTPException(
            409, "Somebody else has changed the article meanwhile. Edit it once more."
        ) from None
    return RedirectResponse(f"/articles/{number}?debug=1", 303)


def _form(article: Article, editors: Editors) -> str:
    key = '<label for="key">Key</label><input id="key" name="key" type="password" required>'
    return document(
        "Edit",
        f'<h1>Edit</h1>\n<form class="edit" method="post" action="/articles/{article.id}">\n'
        f'<input type="hidden" name="version" value="{article.version}">\n'
        '<label for="title">Headline</label>'
        f'<input id="title" name="title" required value="{escape(article.title)}">\n'
        # A textarea leaves out a line break right after its tag.
        '<label for="body">Text</label>'
        f'<textarea id="body" name="body" required>\n{escape(article.body)}</textarea>\n'
        f"{key if editors.keyed else ''}\n<button>Publish</button>\n</form>",
    )
