"""The pages for people: their frame, and the files that they are made of.

The files are read once and served below a folder that is named after their content, so that a browser
keeps them for as long as it likes and never mixes those of two releases.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

from aiohttp import web

import exporter

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Only files of ours run; without trusted types no text can become markup, not even by a mistake of ours."""
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_DIGITS = 16
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Site:
    """The frame of every page, and the files below it."""

    telemetry_path: str
    content: Mapping[str, bytes]
    """Files by name."""
    digest: str
    """Tells this content from any other."""
    base: str = ""
    """What links begin with; "" or a path without a slash at its end."""

    def page(self, path: str, title: str, main: str, script: str = "") -> web.Response:
        """Put a page into the frame.

        Args:
            path: where the page is, as the frame links to it.
            title: plain text.
            main: HTML; whoever wrote it has escaped what came from elsewhere.
            script: the name of the module that brings it to life.
        """
        folder = f"{self.base}/static/{self.digest}"
        text = Template(self.text("frame.html")).substitute(
            base=self.base,
            title=escape(title),
            main=main,
            static=folder,
            script=f'<script type="module" src="{folder}/{script}"></script>' if script else "",
            links="\n".join(self._links(path)),
            version=escape(exporter.__version__),
        )
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    def _links(self, current: str) -> Iterator[str]:
        first = {} if self.telemetry_path == "/" else {"/": "Tasks"}
        rest = {"/status": "Status", "/config": "Configuration", self.telemetry_path: "Metrics"}
        for path, name in (first | rest).items():
            mark = ' aria-current="page"' if path == current else ""
            yield f'<a href="{escape(self.base + path)}"{mark}>{name}</a>'

    def text(self, name: str) -> str:
        """A file as text."""
        return self.content[name].decode()

    def _main(self, name: str) -> str:
        return Template(self.text(name)).substitute(base=self.base)

    def routes(self) -> Sequence[web.RouteDef]:
        """The live pages, and the files of every page."""

        async def tasks(_request: web.Request) -> web.Response:
            return self.page("/", "Tasks", self._main("tasks.html"), "tasks.js")

        async def task(request: web.Request) -> web.Response:
            return self.page("", request.match_info["task_id"], self._main("task.html"), "task.js")

        async def static(request: web.Request) -> web.Response:
            return self._serve(request, request.match_info["name"])

        first = [] if self.telemetry_path == "/" else [web.get("/", tasks)]
        return [
            *first,
            web.get("/tasks/{source}/{task_id:.+}", task),
            web.get(f"/static/{self.digest}/{{name}}", static),
        ]

    def _serve(self, request: web.Request, name: str) -> web.Response:
        kind = _TYPES.get(name[name.rfind(".") :])
        if kind is None or name not in self.content:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "max-age=31536000, immutable", "ETag": f'"{self.digest}"'}
        if f'"{self.digest}"' in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        response = web.Response(body=self.content[name], headers=headers | {"Content-Type": kind})
        response.enable_compression()
        return response


def load(telemetry_path: str, base: str = "") -> Site:
    """Read the files that came with the program."""
    folder = files("exporter.web") / "static"
    content = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    return Site(telemetry_path, content, digest_of(content), base)


def digest_of(content: Mapping[str, bytes]) -> str:
    """Tells these files from any others."""
    digest = sha256()
    for name in sorted(content):
        digest.update(f"{name}\0{len(content[name])}\0".encode() + content[name])
    return digest.hexdigest()[:_DIGITS]
