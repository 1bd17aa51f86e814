"""What readers do where the app has comments: read them, say something, reply and vote.

Forms are answered by 303, JSON by JSON. Nobody signs in: a reader is whoever they say, and one who
votes without a name has that of a cookie. A form has to be one of the site's own.
"""

import json
import re
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from labkit.newsroom import Comment, NotFound
from labkit.newsroom.comment_questions import Order
from labkit.site import answers, threads
from labkit.site.comments.places import comment_at, rank
from labkit.site.comments.service import Comments
from labkit.site.comments.views import MOST
from labkit.site.editing import body_of, check_origin, fields_of
from labkit.site.frame import document
from labkit.site.reading import SiteOf, nothing_there, number_of

router = APIRouter()

_COOKIE = "reader"
_TOKEN = re.compile(r"[0-9a-f]{16}")
_YEAR = 365 * 86_400  # seconds


async def comments_of(request: Request) -> Comments:
    """The comments of the application."""
    comments: Comments = request.app.state.comments
    return comments


async def given_of(request: Request) -> dict[str, Any]:
    """What a request says: the fields of a form, or of a JSON object.

    Raises:
        HTTPException: It is too large, or neither; or a page from elsewhere has made it.
    """
    check_origin(request)
    body = await body_of(request)
    if not answers.is_json(request):
        return dict(fields_of(body))
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "The JSON cannot be read.") from None
    if not isinstance(given, dict):
        raise HTTPException(422, "Expected a JSON object.")
    return given


CommentsOf = Annotated[Comments, Depends(comments_of)]
Given = Annotated[dict[str, Any], Depends(given_of)]
After = Annotated[str | None, Query(description="The `next` of the page before.")]
Most = Annotated[int, Query(ge=1, le=MOST, description="How many comments.")]
Ids = Annotated[str, Query(description="Numbers of comments, with commas between them.")]


@router.get("/articles/{article}/comments")
def list_comments(
    site: SiteOf,
    comments: CommentsOf,
    article: str,
    order: Order = "oldest",
    after: After = None,
    most: Most = 50,
) -> Response:
    """The comments on an article, a page of them."""
    number = _article(site, article)
    shown, following = _page(comments, number, order, after, most)
    return answers.json(
        {
            "article": number,
            "count": comments.counts([number])[number],
            "order": order,
            "comments": threads.listed(shown),
            "next": following,
        }
    )


@router.get("/articles/{article}/comments/live")
def live(comments: CommentsOf, article: str, ids: Ids = "") -> Response:
    """The count of an article, and the scores of comments; asks no database."""
    number = number_of(article)
    if number is None:
        return nothing_there()
    wanted = [found for text in ids.split(",") if text for found in [number_of(text)]]
    if None in wanted or len(wanted) > MOST:
        raise HTTPException(422, f"Expected at most {MOST} numbers, with commas between them.")
    return answers.json(comments.live(number, [found for found in wanted if found is not None]))


@router.get("/articles/{article}/discussion")
def discussion(
    request: Request,
    site: SiteOf,
    comments: CommentsOf,
    article: str,
    order: Order = "oldest",
    after: After = None,
) -> Response:
    """The comments on an article as a page of their own, which nobody keeps."""
    number = _article(site, article)
    shown, following = _page(comments, number, order, after, 50)
    count = comments.counts([number])[number]
    moderated = request.app.state.editors is not None
    text = threads.discussion(number, shown, count, order, following, moderated=moderated)
    page = document("Discussion", text, style=threads.style())
    return answers.html(page, script=threads.SCRIPT)


@router.post("/articles/{article}/comments")
def say(
    request: Request, site: SiteOf, comments: CommentsOf, article: str, given: Given
) -> Response:
    """Say something about an article."""
    number, texts = _article(site, article), _said(given)
    try:
        comment = comments.add(number, *texts)
    except NotFound:
        raise HTTPException(404) from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return _written(request, comment)


@router.post("/comments/{comment}/replies")
def reply(request: Request, comments: CommentsOf, comment: str, given: Given) -> Response:
    """Reply to a comment."""
    parent, texts = stored(comments, comment), _said(given)
    if parent.hidden or parent.deleted:
        raise HTTPException(409, "The comment was removed meanwhile.")
    try:
        return _written(request, comments.reply(parent.id, *texts))
    except NotFound:
        raise HTTPException(409, "The comment was removed meanwhile.") from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


@router.post("/comments/{comment}/votes")
def vote(request: Request, comments: CommentsOf, comment: str, given: Given) -> Response:
    """Vote on a comment: 1, -1, or 0 to take the vote back."""
    number = number_of(comment)
    if number is None:
        raise HTTPException(404)
    value = str(given.get("value"))
    if value not in ("1", "0", "-1"):
        raise HTTPException(422, "The vote is none; expected 1, -1 or 0.")
    cookie = request.cookies.get(_COOKIE, "")
    token = cookie if _TOKEN.fullmatch(cookie) else secrets.token_hex(8)
    named = "reader" in given
    reader = _text(given, "reader", threads.LONGEST_NAME) if named else f"guest {token}"
    try:
        voted = comments.vote(number, reader, int(value))
    except NotFound:
        raise HTTPException(404) from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    if answers.is_json(request):
        answer = answers.json({"id": voted.id, "score": voted.score})
    else:
        answer = RedirectResponse(f"/articles/{voted.article_id}/discussion#comment-{number}", 303)
    if not named:
        answer.set_cookie(_COOKIE, token, max_age=_YEAR, httponly=True, samesite="lax")
    return answer


def stored(comments: Comments, text: str) -> Comment:
    """The comment of an address, hidden and deleted ones too.

    Raises:
        HTTPException: There is none.
    """
    number = number_of(text)
    comment = comments.db.comment(number) if number is not None else None
    if comment is None:
        raise HTTPException(404)
    return comment


def address_of(comment: Comment) -> str:
    """Where a comment that was just written is seen."""
    return f"/articles/{comment.article_id}/discussion?order=newest#comment-{comment.id}"


def _article(site: SiteOf, text: str) -> int:
    number = number_of(text)
    if number is None or site.find(number) is None:
        raise HTTPException(404)
    return number


def _page(
    comments: Comments, article_id: int, order: Order, after: str | None, most: int
) -> tuple[list[Comment], str | None]:
    """A page of comments, and where the next one begins."""
    try:
        last = None if after is None else comment_at(after)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    shown = comments.page(article_id, order, last, most)
    return shown, rank(shown[-1]) if len(shown) == most else None


def _said(given: dict[str, Any]) -> tuple[str, str]:
    reader = _text(given, "reader", threads.LONGEST_NAME)
    body = _text(given, "body", threads.LONGEST).replace("\r\n", "\n")  # as browsers send it
    return reader, body


def _text(given: dict[str, Any], name: str, longest: int) -> str:
    text = given.get(name)
    if not isinstance(text, str) or not 0 < len(text.strip()) <= len(text) <= longest:
        raise HTTPException(422, f"{name} has to be text of 1 to {longest:,} characters.")
    return text


def _written(request: Request, comment: Comment) -> Response:
    address = address_of(comment)
    if answers.is_json(request):
        return answers.json(threads.listed([comment])[0], 201, {"Location": address})
    return RedirectResponse(address, 303)
