"""Statistics for other programs: JSON, CSV, and the text that Prometheus reads."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from labkit.cache.metrics import PrometheusCollector
from labkit.cache.stats import row_of

if TYPE_CHECKING:
    from labkit.cache.admin.desk import Desk


def as_csv(desk: Desk) -> Response:
    """One row a cache and function, and one for all of a cache."""
    rows: list[dict[str, Any]] = []
    for name, engine in desk.engines():
        stats = engine.stats()
        rows += [{"cache": name} | row_of(each) for each in stats.functions.values()]
        rows.append({"cache": name} | row_of(stats.total))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    headers = {"Content-Disposition": 'attachment; filename="cache.csv"'}
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def as_prometheus(desk: Desk) -> Response:
    """The metrics of `labkit.cache.metrics`, by cache."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    registry.register(PrometheusCollector(desk.cache, desk.cache.namespace))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
