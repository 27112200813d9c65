"""How different two colors look, with full color vision and with each deficiency.

The matrices are those of Machado, Oliveira and Fernandes (2009) for a complete deficiency, in linear RGB.
"""

from math import dist

Vector = tuple[float, float, float]

KINDS: dict[str, tuple[Vector, Vector, Vector]] = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
D65 = (0.95047, 1.0, 1.08883)
TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))


def distance(one: str, other: str, kind: str) -> float:
    """How far apart two colors as ``#rrggbb`` are in CIELAB (CIE 1976)."""
    return dist(lab(one, kind), lab(other, kind))


def lab(color: str, kind: str) -> Vector:
    """The color as it is seen, in CIELAB."""
    seen = [min(1.0, max(0.0, value)) for value in times(KINDS[kind], linear(color))]
    x, y, z = (root(value / white) for value, white in zip(times(TO_XYZ, seen), D65, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def linear(color: str) -> list[float]:
    """The three parts of the light, without the gamma of sRGB."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def times(matrix: tuple[Vector, Vector, Vector], vector: list[float]) -> list[float]:
    """Multiply."""
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def root(value: float) -> float:
    """The cube root, straight near black."""
    return float(value ** (1 / 3)) if value > 0.008856 else 7.787 * value + 16 / 116
