"""Writes families in Prometheus' text format and in OpenMetrics.

What comes out is, byte for byte, what prometheus_client would write; a test holds it to that. It
takes a quarter of the time, because a family's label names are looked at once and not with each
sample, and the time counts: writing shares the interpreter with polling.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from prometheus_client.utils import floatToGoString

from exporter.metrics.family import Distribution, Family, Labels
from exporter.store.totals import Exemplar

_go_number: Callable[[float], str] = floatToGoString
_PLAIN = 1_000_000
"""From here on, Go writes numbers with an exponent; below it, as Python does."""
_BILLION = 1_000_000_000
_MOST_EXEMPLAR_CHARACTERS = 128
"""The limit of OpenMetrics 1.0 for an exemplar's label names and values together."""


class Format(Enum):
    """A format, with what its ``Content-Type`` says."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    TEXT_1 = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    OPENMETRICS_ESCAPING = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"

    @property
    def is_openmetrics(self) -> bool:
        """Whether there are exemplars, and an end that tells a whole answer from half of one."""
        return self in (Format.OPENMETRICS, Format.OPENMETRICS_ESCAPING)


@dataclass(frozen=True, slots=True)
class WrittenFamily(Family):
    """A family of gauges whose samples are written already; both formats write gauges alike."""

    texts: Sequence[bytes]


def number(value: float) -> str:
    """Write a number as Prometheus writes it."""
    if -_PLAIN < value < _PLAIN:
        return repr(float(value))
    if _BILLION <= value < 10 * _BILLION:  # The times of this century are so.
        digits = repr(float(value))
        return f"{digits[0]}.{digits[1:10]}{digits[11:]}".rstrip("0.") + "e+09"
    return _go_number(value)


def encoded(text: str) -> bytes:
    """Encode a text; what is no Unicode in a label (a lone surrogate) becomes a question mark."""
    return text.encode("utf-8", "replace")


def negotiate(accept: str) -> Format:
    """Choose a format by the ``Accept`` header: the first that is known, and plain text otherwise.

    Scrapers name what they like best first, so their weights need no reading. Our names are such
    that no escaping changes them.
    """
    for offer in accept.split(","):
        media, *parameters = (part.strip() for part in offer.split(";"))
        version = dict(p.split("=", 1) for p in parameters if "=" in p).get("version", "")
        if media == "application/openmetrics-text" and version == "":
            return Format.OPENMETRICS
        if media == "application/openmetrics-text" and version == "1.0.0":
            return Format.OPENMETRICS_ESCAPING
        if media == "text/plain" and version == "1.0.0":
            return Format.TEXT_1
    return Format.TEXT


def write(families: Iterable[Family], form: Format) -> Iterator[bytes]:
    """Write them all, piece by piece."""
    for family in families:
        yield encoded(_header(family, form))
        yield from _samples(family, form)
    if form.is_openmetrics:
        yield b"# EOF\n"


def _samples(family: Family, form: Format) -> Iterable[bytes]:
    if isinstance(family, WrittenFamily):
        return family.texts
    # One family after the other: what is encoded in one piece holds up the event loop.
    return (encoded("".join(_histogram(family, form) if family.kind == "histogram" else _numbers(family))),)


def _header(family: Family, form: Format) -> str:
    name = family.name.removesuffix("_total") if form.is_openmetrics else family.name
    text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    if form.is_openmetrics:
        text = text.replace('"', r"\"")
    return f"# HELP {name} {text}\n# TYPE {name} {family.kind}\n"


def _numbers(family: Family) -> Iterator[str]:
    block = Block(family.labels)
    for labels, value in family.samples:
        if not isinstance(value, Distribution):
            yield f"{family.name}{block.of(labels)} {number(value)}\n"


def _histogram(family: Family, form: Format) -> Iterator[str]:
    name, block, bucket = family.name, Block(family.labels), Block((*family.labels, "le"))
    for labels, value in family.samples:
        if not isinstance(value, Distribution):
            continue
        exemplars = value.exemplars if form.is_openmetrics else ()
        total = 0
        for index, total in enumerate(accumulate(value.counts)):
            bound = value.bounds[index] if index < len(value.bounds) else float("inf")
            exemplar = _exemplar(exemplars[index]) if index < len(exemplars) else ""
            le = number(bound)
            yield f"{name}_bucket{bucket.of((*labels, le))} {number(total)}{exemplar}\n"
        yield f"{name}_count{block.of(labels)} {number(total)}\n"
        yield f"{name}_sum{block.of(labels)} {number(value.sum)}\n"


def _exemplar(exemplar: Exemplar | None) -> str:
    if exemplar is None or len("task_id") + len(exemplar.task_id) > _MOST_EXEMPLAR_CHARACTERS:
        return ""
    label = f'{{task_id="{_escaped(exemplar.task_id)}"}}'
    return f" # {label} {number(exemplar.seconds)} {exemplar.at.timestamp()}"


class Block:
    """Writes the label block of one family's samples, with the names in alphabetical order."""

    def __init__(self, names: Labels) -> None:
        self._order = sorted(range(len(names)), key=names.__getitem__)
        pairs = ",".join(f'{names[index]}="%s"' for index in self._order)
        self._template = f"{{{pairs}}}" if names else ""

    def of(self, values: Labels) -> str:
        """Fill in the values."""
        return self._template % tuple([_escaped(values[index]) for index in self._order])


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
