"""Whether the service is well: for those who watch it."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from labkit.leaderboard.api import models
from labkit.leaderboard.api.answers import written
from labkit.leaderboard.api.boards import Current
from labkit.leaderboard.api.problems import Unavailable

router = APIRouter(tags=["health"])

PATIENCE = 1.0
"""Seconds in which Redis must answer for the service to be ready."""


@router.get("/healthz", operation_id="getHealth", summary="Is it up?", response_model=models.Status)
async def get_health() -> Response:
    """Answers 200 as long as the process answers at all."""
    return written({"status": "ok"})


@router.get(
    "/readyz", operation_id="getReadiness", summary="Is it ready?", response_model=models.Status
)
async def get_readiness(service: Current) -> Response:
    """Answers 200 where Redis answers within a second, and 503 where it does not."""
    try:
        async with asyncio.timeout(PATIENCE):
            await service.redis.execute_command("PING")
    except TimeoutError:
        raise Unavailable from None
    return written({"status": "ready"})


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Read the counters",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(service: Current) -> Response:
    """In the text format of Prometheus."""
    return Response(service.metrics.exposition(), media_type="text/plain; version=0.0.4")
