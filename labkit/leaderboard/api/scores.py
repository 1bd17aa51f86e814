"""Scores: one, many, increments, and removing a member."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path
from pydantic import AfterValidator
from starlette.responses import Response

from labkit.leaderboard import AsyncLeaderboard, Score, Submission
from labkit.leaderboard.api import models
from labkit.leaderboard.api.answers import written
from labkit.leaderboard.api.boards import Board, Current
from labkit.leaderboard.api.paths import plain
from labkit.leaderboard.api.problems import Problem, refusals
from labkit.leaderboard.api.security import Requires

router = APIRouter(tags=["scores"], dependencies=[Depends(Requires("write"))])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=256,
        description="Makes a repetition safe: the same request with the same key is stored once.",
    ),
]
Member = Annotated[
    str,
    Path(
        min_length=1,
        max_length=512,
        description="The member's name; a slash in it is written %2F.",
        examples=["ada"],
    ),
    AfterValidator(plain),
]
REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` where the key had come before: this is the first answer again.",
        "schema": {"type": "string"},
    }
}


@router.post(
    "/boards/{board}/scores",
    operation_id="submitScore",
    summary="Submit a score",
    response_model=models.Submission,
    responses={200: {"headers": REPLAYED}},
)
async def submit_score(board: Board, score: models.NewScore, key: Key = None) -> Response:
    """Stores a score in every window it belongs to, as the board's policy says.

    A score that the board refuses is answered 422, one whose windows have all closed 409.
    """
    with refusals():
        done = await board.submit(score.member, score.score, score.metadata, at=score.at, key=key)
    return _answer(done)


@router.post(
    "/boards/{board}/increments",
    operation_id="incrementScore",
    summary="Add to a member's score",
    response_model=models.Submission,
    responses={200: {"headers": REPLAYED}},
)
async def increment_score(board: Board, amount: models.Increment, key: Key = None) -> Response:
    """Adds to the score in every window, whatever the policy; one that is missing starts at 0."""
    with refusals():
        done = await board.increment(
            amount.member, amount.by, amount.metadata, at=amount.at, key=key
        )
    return _answer(done)


@router.post(
    "/boards/{board}/scores/batch",
    operation_id="submitScores",
    summary="Submit many scores",
    response_model=models.Outcomes,
)
async def submit_scores(service: Current, board: Board, batch: models.Batch) -> Response:
    """Answers for each score whether it was stored, replayed, or refused and why.

    A batch with a score that is malformed is answered 422, and nothing of it is stored.
    """
    most = service.limits.batch
    if len(batch.scores) > most:
        detail = f"The batch has {len(batch.scores)} scores; send at most {most} at once."
        raise Problem(422, "batch-too-large", detail)
    results = [_outside(board, score) for score in batch.scores]
    sent = [score for score, result in zip(batch.scores, results, strict=True) if not result]
    with refusals():
        answers = iter(
            await board.submit_many(
                Score(each.member, each.score, each.metadata, each.at, each.key) for each in sent
            )
        )
    outcomes = [result or _outcome(next(answers)) for result in results]
    counts = {
        status: sum(each["status"] == status for each in outcomes)
        for status in ("stored", "replayed", "refused")
    }
    return written({**counts, "results": outcomes})


@router.delete(
    "/boards/{board}/members/{member}",
    operation_id="removeMember",
    summary="Remove a member",
    status_code=204,
    response_class=Response,
)
async def remove_member(board: Board, member: Member, history: bool = True) -> Response:
    """Removes everything that is kept of a member; `history=false` leaves closed periods alone."""
    with refusals():
        removed = await board.remove(member, history=history)
    if not removed:
        raise Problem(404, "no-such-member", f"The board has no member {member!r}.")
    return Response(status_code=204)


def _answer(done: Submission) -> Response:
    headers = {"Idempotency-Replayed": "true"} if done.replayed else None
    return written(_submission(done), headers=headers)


def _submission(done: Submission) -> dict[str, Any]:
    """What became of a score: a replay says the same as the first time."""
    return {
        "member": done.member,
        "window": done.window,
        "changed": done.changed,
        "rank": done.rank,
        "score": done.score,
        "old_rank": done.old_rank,
        "old_score": done.old_score,
        "moves": done.moves,
    }


def _outcome(done: Submission) -> dict[str, Any]:
    if done.refused is not None:
        return {"status": "refused", "refused": done.refused, "submission": None}
    status = "replayed" if done.replayed else "stored"
    return {"status": status, "refused": None, "submission": _submission(done)}


def _outside(board: AsyncLeaderboard, score: models.KeyedScore) -> dict[str, Any] | None:
    """The refusal of a score outside the board's bounds, which would refuse the whole batch."""
    settings = board.settings
    low, high = settings.minimum, settings.maximum
    if settings.policy == "sum" or (low, high) == (None, None):
        return None
    if (low is None or score.score >= low) and (high is None or score.score <= high):
        return None
    refused = (
        f"{score.score} for {score.member!r} is outside the board's bounds: "
        f"minimum {low}, maximum {high}"
    )
    return {"status": "refused", "refused": refused, "submission": None}
