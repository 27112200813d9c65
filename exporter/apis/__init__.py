"""The task APIs, one small module each; users bring their own by import string."""

import importlib
from collections.abc import Mapping
from difflib import get_close_matches

from exporter.apis.base import Http, Pace, TaskApi
from exporter.apis.dataarts import DataArts
from exporter.apis.epmware import Epmware
from exporter.apis.pulp import Pulp
from exporter.apis.pulp1 import Pulp1

APIS: Mapping[str, type[TaskApi]] = {
    "epmware": Epmware,
    "dataarts": DataArts,
    "pulp1": Pulp1,
    "pulp": Pulp,
}


def resolve(name: str) -> type[TaskApi]:
    """Find an API by its name here, or by an import string such as ``acme.tasks:Acme``.

    What an import string names is imported now, from wherever Python finds modules: installed
    packages and PYTHONPATH. The current directory counts only where it is among them.

    Raises:
        ValueError: there is no such API, or it is none; tells the cure.
    """
    if name in APIS:
        return APIS[name]
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ValueError(f"{name!r} is no API: {_suggestion(name)}")
    return _checked(name, _imported(name, module, attribute))


def set_up(name: str, http: Http, options: object) -> TaskApi:
    """Put an API together, to be asked by way of *http*.

    Raises:
        ValueError: there is no such API, or its class fails; tells what it raised.
    """
    kind = resolve(name)
    try:
        return kind(http, options)
    except Exception as error:  # a stranger's module may raise anything
        raise ValueError(f"api {name!r} cannot be set up ({type(error).__name__}: {error})") from error


def _suggestion(name: str) -> str:
    near = get_close_matches(name.lower(), APIS, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"expected one of {', '.join(APIS)}, or an import string such as 'acme.tasks:Acme'"


def _imported(name: str, module: str, attribute: str) -> object:
    try:
        found: object = importlib.import_module(module)
    except Exception as error:  # a stranger's module may raise anything
        told = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name!r}: module {module!r} cannot be imported ({told})") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{name!r}: module {module!r} has no {attribute!r}")
        found = getattr(found, part)
    return found


def _checked(name: str, found: object) -> type[TaskApi]:
    if not isinstance(found, type):
        raise ValueError(f"{name!r} is no class")  # noqa: TRY004 - a mistake in the configuration
    missing = [part for part in ("fetch", "Options", "pace") if not hasattr(found, part)]
    if hasattr(found, "list") and not hasattr(found, "lists"):
        missing.append("lists")
    if missing:
        raise ValueError(f"{name!r} lacks {', '.join(missing)}; see docs/sources.md")
    if not isinstance(found.pace, Pace):  # type: ignore[attr-defined]  # seen just now
        raise ValueError(f"{name!r}: pace is no Pace; see docs/sources.md")  # noqa: TRY004 - as above
    return found
