"""What editors do to comments: change, hide, show and delete them. Only where the app is editable.

The rules are those of `labkit.site.editing`. With JSON the key stands in the header
`Authorization: Bearer ...`.
"""

from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from labkit.newsroom import Comment, NotFound
from labkit.site import answers, threads
from labkit.site.commenting import CommentsOf, Given, address_of, stored
from labkit.site.comments.service import Comments
from labkit.site.editing import EditorsOf
from labkit.site.frame import document

router = APIRouter()

_ACTIONS = ("edit", "hide", "show", "delete", "hide_reader")


@router.get("/comments/{comment}/edit")
def moderation_form(comments: CommentsOf, editors: EditorsOf, comment: str) -> Response:
    """What may be done to a comment, as the database has it."""
    shown = _there(comments, comment)
    return answers.html(document("Moderate", threads.form(shown, keyed=editors.keyed)))


@router.post("/comments/{comment}")
def moderate(
    request: Request, comments: CommentsOf, editors: EditorsOf, comment: str, given: Given
) -> Response:
    """Do what a button of the form says."""
    editors.check(request, str(given.get("key", "")))
    found = _there(comments, comment)
    action = given.get("action")
    if action not in _ACTIONS:
        raise HTTPException(422, f"The action is none; expected one of {', '.join(_ACTIONS)}.")
    if action == "edit":
        _check_version(found, given.get("version"))
    _do(comments, found, action, given.get("body"))
    return RedirectResponse(address_of(found), 303)


@router.patch("/comments/{comment}")
def change(
    request: Request, comments: CommentsOf, editors: EditorsOf, comment: str, given: Given
) -> Response:
    """Change `body` and `hidden` of a comment; `version` says of which it was made."""
    editors.check(request, _bearer(request))
    found = _there(comments, comment)
    _check_version(found, given.get("version"))
    hidden = given.get("hidden", found.hidden)
    if not isinstance(hidden, bool):
        raise HTTPException(422, "hidden has to be true or false.")
    if "body" in given:
        found = _do(comments, found, "edit", given["body"])
    if hidden != found.hidden:
        found = _do(comments, found, "hide" if hidden else "show", None)
    return answers.json(threads.listed([found])[0] | {"hidden": found.hidden})


@router.delete("/comments/{comment}", status_code=204)
def delete(
    request: Request, comments: CommentsOf, editors: EditorsOf, comment: str, given: Given
) -> Response:
    """Remove what a comment says; its place is left."""
    editors.check(request, _bearer(request))
    _do(comments, _there(comments, comment), "delete", None)
    return Response(status_code=204)


def _there(comments: Comments, text: str) -> Comment:
    comment = stored(comments, text)
    if comment.deleted:
        raise HTTPException(404)
    return comment


def _do(comments: Comments, comment: Comment, action: str, body: Any) -> Comment:
    """Carry out an action; answers the comment as it is then."""
    try:
        match action:
            case "edit":
                if not isinstance(body, str) or len(body) > threads.LONGEST:
                    raise ValueError(f"body has to be text of 1 to {threads.LONGEST:,} characters")
                return comments.edit(comment.id, body.replace("\r\n", "\n"))
            case "hide":
                return comments.hide(comment.id)
            case "show":
                return comments.show(comment.id)
            case "delete":
                return comments.delete(comment.id)
            case _:
                comments.hide_reader(comment.reader)
                return comment
    except NotFound:
        raise HTTPException(409, "The comment was removed meanwhile.") from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def _check_version(comment: Comment, version: Any) -> None:
    """Refuse what was made of another version of a comment, where it says of which."""
    if version is not None and str(version) != str(comment.version):
        raise HTTPException(409, "Somebody else has changed the comment meanwhile.")


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")
