"""What operators look at: the panel of the cache, and metrics for Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from labkit.cache.panel import Panel
from labkit.site import answers
from labkit.site.frame import document
from labkit.site.reading import SiteOf

router = APIRouter()

_SCRIPT = """
const panel = document.getElementById("panel");
const live = document.getElementById("live");
setInterval(async () => {
  if (!live.checked || document.hidden) return;
  const answer = await fetch("/cache/panel").catch(() => null);
  if (answer && answer.ok) panel.innerHTML = await answer.text();
}, 1000);
"""


@router.get("/cache")
def cache_page(site: SiteOf) -> Response:
    """The statistics of the cache, live."""
    content = (
        "<h1>The cache</h1>\n"
        '<p><label><input type="checkbox" id="live" checked> Every second</label></p>\n'
        '<div class="scroll" id="panel" tabindex="0" role="group" aria-label="Statistics">'
        f"{_panel(site)}</div>\n<script>{_SCRIPT}</script>"
    )
    return answers.html(document("The cache", content), script=_SCRIPT)


@router.get("/cache/panel")
def cache_panel(site: SiteOf) -> Response:
    """The statistics of the cache by themselves."""
    return answers.html(_panel(site))


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """The statistics of the cache, as Prometheus reads them."""
    return Response(generate_latest(request.app.state.metrics), media_type=CONTENT_TYPE_LATEST)


def _panel(site: SiteOf) -> str:
    told = (
        f"{site.db.reads:,} database reads. "
        f"{site.versions.turned_away:,} made-up numbers turned away."
    )
    return f"{Panel(site.cache)._repr_html_()}<p>{told}</p>"
