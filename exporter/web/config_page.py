"""The page of the configuration in use, with its secrets masked: ``/config``."""

from collections.abc import Sequence
from html import escape

from aiohttp import web

from exporter.web.page import Site
from exporter.web.views import Setup

PATH = "/config"
_MAIN = """<h1>Configuration</h1>
<section class="panel">
<p class="sub">As it is in use: defaults merged and filled in, secrets masked.</p>
<pre tabindex="0" aria-label="Configuration as YAML">{yaml}</pre>
</section>"""


def routes(site: Site, setup: Setup) -> Sequence[web.RouteDef]:
    """The one page; it needs no scripts."""

    async def show(_request: web.Request) -> web.Response:
        return site.page(PATH, "Configuration", _MAIN.format(yaml=escape(setup.configuration())))

    return [web.get(PATH, show)]
