"""The twenty kinds of things, drawn with a `Pen`. Each fills most of the unit square and has an outline of its own."""

from collections.abc import Callable

from ves.sources.scenes.pen import Pen, circle


def ball(pen: Pen) -> None:
    pen.ellipse(0.5, 0.5, 0.44, 0.44)
    pen.ellipse(0.5, 0.5, 0.24, 0.43, "light", 0.014)
    pen.ellipse(0.5, 0.5, 0.09, 0.43, "base", 0.014)


def cup(pen: Pen) -> None:
    pen.ring(0.75, 0.52, 0.2, 0.1)
    pen.polygon([(0.1, 0.2), (0.76, 0.2), (0.68, 0.78), (0.6, 0.86), (0.26, 0.86), (0.18, 0.78)])
    pen.ellipse(0.43, 0.2, 0.33, 0.09, "dark")
    pen.line([(0.2, 0.36), (0.24, 0.68)], 0.04, "light")


def car(pen: Pen) -> None:
    pen.polygon([(0.2, 0.5), (0.33, 0.25), (0.68, 0.25), (0.82, 0.5)])
    pen.box(0.03, 0.46, 0.97, 0.73, r=0.08)
    pen.polygon([(0.28, 0.47), (0.37, 0.31), (0.48, 0.31), (0.48, 0.47)], "glass", 0.012)
    pen.polygon([(0.53, 0.47), (0.53, 0.31), (0.65, 0.31), (0.74, 0.47)], "glass", 0.012)
    pen.ellipse(0.92, 0.55, 0.035, 0.035, "paper", 0.01)
    for x in (0.25, 0.75):
        pen.ellipse(x, 0.73, 0.125, 0.125, "tyre")
        pen.ellipse(x, 0.73, 0.055, 0.055, "steel", 0.01)


def tree(pen: Pen) -> None:
    pen.polygon([(0.42, 0.6), (0.58, 0.6), (0.63, 0.96), (0.37, 0.96)], "wood")
    leaves = [(0.27, 0.5, 0.21), (0.73, 0.5, 0.21), (0.33, 0.28, 0.2), (0.67, 0.28, 0.2), (0.5, 0.2, 0.17)]
    for x, y, r in leaves:
        pen.ellipse(x, y, r, r)
    for x, y, r in [*leaves, (0.5, 0.46, 0.24)]:
        pen.ellipse(x, y, r - 0.02, r - 0.02, "base", 0.0)
    for x, y in ((0.3, 0.42), (0.6, 0.28), (0.66, 0.52), (0.44, 0.56)):
        pen.ellipse(x, y, 0.06, 0.035, "dark", 0.0)


def house(pen: Pen) -> None:
    pen.box(0.7, 0.12, 0.82, 0.4, "wood")
    pen.box(0.14, 0.42, 0.86, 0.94)
    pen.polygon([(0.03, 0.46), (0.5, 0.06), (0.97, 0.46)], "dark")
    pen.box(0.42, 0.62, 0.6, 0.94, "wood")
    for x in (0.2, 0.67):
        pen.box(x, 0.54, x + 0.14, 0.7, "glass")


def chair(pen: Pen) -> None:
    for x in (0.24, 0.66):
        pen.bar([(x + 0.08, 0.58), (x + 0.08, 0.84)], 0.07, "dark")
    pen.box(0.2, 0.04, 0.84, 0.44, r=0.07)
    for x in (0.36, 0.52, 0.68):
        pen.line([(x, 0.11), (x, 0.37)], 0.03, "dark")
    for x in (0.25, 0.79):
        pen.bar([(x, 0.4), (x, 0.56)], 0.07)
    pen.polygon([(0.2, 0.5), (0.86, 0.5), (0.92, 0.66), (0.08, 0.66)])
    pen.box(0.08, 0.64, 0.92, 0.71, "dark")
    for x in (0.14, 0.86):
        pen.bar([(x, 0.72), (x, 0.95)], 0.08)


def umbrella(pen: Pen) -> None:
    hook = circle(0.6, 0.84, 0.1, 180, 0)
    pen.line([(0.5, 0.4), (0.5, 0.84), *hook], 0.05, "wood")
    scallops = [p for x in (0.8375, 0.6125, 0.3875, 0.1625) for p in circle(x, 0.5, 0.1125, 0, -180, 12)]
    pen.polygon([*circle(0.5, 0.5, 0.45, 180, 360), *scallops])
    for x, fill in ((0.275, "dark"), (0.5, "dark"), (0.725, "dark")):
        pen.line([(0.5, 0.06), ((x + 0.5 * 0.3) / 1.3, 0.24), (x, 0.49)], 0.016, fill)
    pen.line([(0.5, 0.02), (0.5, 0.08)], 0.035)


def fish(pen: Pen) -> None:
    pen.polygon([(0.68, 0.5), (0.97, 0.22), (0.9, 0.5), (0.97, 0.78)], "dark")
    pen.polygon([(0.3, 0.3), (0.44, 0.1), (0.64, 0.32)], "dark")
    pen.ellipse(0.4, 0.5, 0.37, 0.27)
    pen.polygon([(0.42, 0.54), (0.62, 0.46), (0.6, 0.66)], "dark", 0.014)
    pen.line(circle(0.18, 0.5, 0.13, -50, 50), 0.02, "dark")
    pen.ellipse(0.17, 0.43, 0.05, 0.05, "paper", 0.012)
    pen.ellipse(0.165, 0.43, 0.02, 0.02, "tyre", 0.0)


def bird(pen: Pen) -> None:
    for x in (0.48, 0.58):
        pen.line([(x, 0.74), (x - 0.02, 0.94), (x - 0.09, 0.95)], 0.03, "wood")
    pen.polygon([(0.72, 0.5), (0.98, 0.36), (0.94, 0.56), (0.74, 0.68)], "dark")
    pen.polygon([(0.14, 0.26), (0.02, 0.33), (0.15, 0.38)], "gold")
    pen.ellipse(0.53, 0.56, 0.3, 0.23)
    pen.ellipse(0.29, 0.3, 0.18, 0.18)
    pen.ellipse(0.36, 0.42, 0.14, 0.12, "base", 0.0)
    pen.polygon([(0.42, 0.5), (0.62, 0.42), (0.84, 0.62), (0.56, 0.7)], "dark")
    pen.ellipse(0.24, 0.27, 0.04, 0.04, "paper", 0.0)
    pen.ellipse(0.235, 0.27, 0.022, 0.022, "tyre", 0.0)


def flower(pen: Pen) -> None:
    pen.line([(0.5, 0.5), (0.54, 0.8), (0.52, 0.97)], 0.05, "moss")
    pen.ellipse(0.64, 0.84, 0.12, 0.05, "moss", 0.012)
    for x, y in circle(0.5, 0.4, 0.23, 0, 360, 6)[:-1]:
        pen.ellipse(x, y, 0.16, 0.16)
    pen.ellipse(0.5, 0.4, 0.2, 0.2, "base", 0.0)
    pen.ellipse(0.5, 0.4, 0.12, 0.12, "gold")


def hat(pen: Pen) -> None:
    pen.ellipse(0.5, 0.73, 0.48, 0.17)
    crown = [(0.24, 0.72), (0.27, 0.34), *circle(0.5, 0.34, 0.23, 190, 350), (0.73, 0.34), (0.76, 0.72)]
    pen.polygon(crown, outline=0.0)
    pen.line(crown, 0.02)
    pen.polygon([(0.25, 0.56), (0.75, 0.56), (0.76, 0.7), (0.62, 0.75), (0.38, 0.75), (0.24, 0.7)], "dark", 0.012)


def book(pen: Pen) -> None:
    pen.polygon([(0.14, 0.86), (0.24, 0.94), (0.9, 0.94), (0.9, 0.14), (0.84, 0.06)], "paper")
    pen.line([(0.2, 0.9), (0.86, 0.9), (0.86, 0.12)], 0.01, "steel")
    pen.box(0.12, 0.05, 0.82, 0.86)
    pen.box(0.12, 0.05, 0.24, 0.86, "dark")
    pen.box(0.34, 0.18, 0.72, 0.36, "paper")


def bottle(pen: Pen) -> None:
    pen.box(0.4, 0.03, 0.6, 0.12, "wood", 0.02)
    left = [(0.42, 0.12), (0.42, 0.28), (0.3, 0.4), (0.26, 0.48), (0.26, 0.92), (0.3, 0.97)]
    pen.polygon([*left, *((1 - x, y) for x, y in reversed(left))])
    pen.box(0.26, 0.56, 0.74, 0.8, "paper")
    pen.line([(0.34, 0.68), (0.66, 0.68)], 0.03, "dark")
    pen.line([(0.34, 0.46), (0.34, 0.52)], 0.04, "light")


def key(pen: Pen) -> None:
    pen.bar([(0.5, 0.42), (0.5, 0.94)], 0.14)
    pen.box(0.54, 0.66, 0.74, 0.76)
    pen.box(0.54, 0.84, 0.8, 0.95)
    pen.ring(0.5, 0.27, 0.25, 0.14)
    pen.box(0.45, 0.5, 0.55, 0.92, "base", 0.03)


def clock(pen: Pen) -> None:
    for x, foot in ((0.24, 0.16), (0.76, 0.84)):
        pen.bar([(x, 0.86), (foot, 0.96)], 0.08, "dark")
        pen.ellipse(x, 0.17, 0.16, 0.12)
    pen.ellipse(0.5, 0.56, 0.4, 0.4)
    pen.ellipse(0.5, 0.56, 0.28, 0.28, "paper")
    for x, y in circle(0.5, 0.56, 0.23, 0, 360, 12):
        pen.ellipse(x, y, 0.016, 0.016, "tyre", 0.0)
    pen.line([(0.5, 0.39), (0.5, 0.56), (0.62, 0.63)], 0.035, "tyre")


def boat(pen: Pen) -> None:
    pen.line([(0.48, 0.04), (0.48, 0.68)], 0.04, "wood")
    pen.polygon([(0.53, 0.08), (0.53, 0.58), (0.9, 0.58)], "paper")
    pen.polygon([(0.43, 0.16), (0.43, 0.58), (0.14, 0.58)], "light")
    pen.polygon([(0.03, 0.64), (0.97, 0.64), (0.82, 0.93), (0.2, 0.93)])
    pen.line([(0.1, 0.73), (0.9, 0.73)], 0.03, "dark")


def kite(pen: Pen) -> None:
    pen.line([(0.5, 0.74), (0.44, 0.82), (0.56, 0.9), (0.5, 0.97)], 0.02)
    top, right, bottom, left, middle = (0.5, 0.02), (0.94, 0.36), (0.5, 0.8), (0.06, 0.36), (0.5, 0.36)
    pen.polygon([top, right, bottom, left])
    pen.polygon([top, right, middle], "dark", 0.0)
    pen.polygon([bottom, left, middle], "dark", 0.0)
    pen.line([top, bottom], 0.02)
    pen.line([left, right], 0.02)
    for x, y in ((0.47, 0.84), (0.53, 0.93)):
        pen.polygon([(x - 0.1, y - 0.05), (x + 0.1, y + 0.05), (x + 0.1, y - 0.05), (x - 0.1, y + 0.05)], "light", 0.01)


def bell(pen: Pen) -> None:
    pen.ring(0.5, 0.1, 0.09, 0.07, "dark")
    pen.ellipse(0.5, 0.87, 0.1, 0.1, "dark")
    dome = circle(0.5, 0.4, 0.26, 180, 360)
    pen.polygon([*dome, (0.78, 0.62), (0.93, 0.8), (0.07, 0.8), (0.22, 0.62)])
    pen.box(0.05, 0.76, 0.95, 0.85, "dark", 0.04)
    pen.line([(0.36, 0.32), (0.33, 0.6)], 0.05, "light")


def star(pen: Pen) -> None:
    for outer, inner, fill, outline in ((0.5, 0.23, "base", 0.02), (0.3, 0.14, "light", 0.0)):
        tips, notches = circle(0.5, 0.54, outer, -90, 270, 5)[:5], circle(0.5, 0.54, inner, -54, 306, 5)[:5]
        pen.polygon([p for pair in zip(tips, notches, strict=True) for p in pair], fill, outline)


def shirt(pen: Pen) -> None:
    left = [(0.38, 0.08), (0.22, 0.13), (0.02, 0.36), (0.17, 0.5), (0.26, 0.41), (0.26, 0.94)]
    pen.polygon([*left, *((1 - x, y) for x, y in reversed(left)), (0.5, 0.2)])
    pen.line([(0.5, 0.22), (0.5, 0.92)], 0.014, "dark")
    pen.polygon([(0.36, 0.07), (0.5, 0.2), (0.38, 0.28), (0.3, 0.1)], "dark")
    pen.polygon([(0.64, 0.07), (0.5, 0.2), (0.62, 0.28), (0.7, 0.1)], "dark")
    for y in (0.38, 0.54, 0.7, 0.86):
        pen.ellipse(0.54, y, 0.018, 0.018, "dark", 0.0)


_ALL = [ball, cup, car, tree, house, chair, umbrella, fish, bird, flower]
_ALL += [hat, book, bottle, key, clock, boat, kite, bell, star, shirt]
SHAPES: dict[str, Callable[[Pen], None]] = {shape.__name__: shape for shape in _ALL}
