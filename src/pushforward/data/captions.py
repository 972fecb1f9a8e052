"""The sentences that say what a scene shows: a small grammar, written and read.

    sentence = thing [relation thing ["and" relation thing]]
    thing    = "a" [size] color kind
    size     = "small" | "large"
    color    = "red" | "green" | "blue" | "yellow"
    kind     = "circle" | "square" | "triangle"
    relation = "left of" | "right of" | "above" | "below"

Both relations are those of the first thing. A sentence names all that is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

from pushforward.data.scenes import COLORS, KINDS, RADII, RELATIONS, Scene, SceneShape, relation
from pushforward.errors import InputError

__all__ = ["WORDS", "Caption", "Thing"]

WORDS = tuple(
    sorted({"a", "and", *RADII, *COLORS, *KINDS, *(w for r in RELATIONS for w in r.split())})
)
"""All words of the grammar."""

_MOST = 3


@dataclass(frozen=True)
class Thing:
    """A shape as a sentence speaks of it: its size need not be said."""

    kind: str
    color: str
    size: str | None = None

    def __str__(self) -> str:
        return " ".join(["a", *([self.size] if self.size else []), self.color, self.kind])

    def fits(self, shape: SceneShape) -> bool:
        """Whether this is said of a shape rightly."""
        same = (self.kind, self.color) == (shape.kind, shape.color)
        return same and self.size in (None, shape.size)


@dataclass(frozen=True)
class Caption:
    """What a sentence says.

    Args:
        things: one to three.
        relations: where the first thing lies, seen from each of the others.

    Raises `InputError` for more things, or not one relation for each thing but the first.

    >>> caption = Caption.read("a red square above a small green circle")
    >>> caption.relations, str(caption.things[1])
    (('above',), 'a small green circle')
    >>> print(caption)
    a red square above a small green circle
    """

    things: tuple[Thing, ...]
    relations: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < len(self.things) <= _MOST or len(self.relations) != len(self.things) - 1:
            raise InputError(
                f"a caption has one to {_MOST} things and a relation for each but the first, not "
                f"{len(self.things)} things and {len(self.relations)} relations"
            )

    def __str__(self) -> str:
        first, *others = self.things
        said = [f"{r} {thing}" for r, thing in zip(self.relations, others, strict=True)]
        return " ".join([str(first), *([" and ".join(said)] if said else [])])

    @classmethod
    def read(cls, text: str) -> Caption:
        """The caption that a sentence is.

        Raises `InputError` for what is no sentence of the grammar, with the word that does not fit.
        """
        words = text.lower().rstrip(". ").split()
        for word in words:
            if word not in WORDS:
                raise InputError(f"{word!r} in {text!r} is none of the words {', '.join(WORDS)}")
        reader = _Reader(words, text)
        things: list[Thing] = [reader.thing()]
        relations: list[str] = []
        while reader.left():
            if relations:
                reader.take("and")
            relations.append(reader.relation())
            things.append(reader.thing())
        return cls(tuple(things), tuple(relations))

    @classmethod
    def of(cls, scene: Scene, sized: tuple[bool, ...] = ()) -> Caption:
        """What a scene shows, in the order of its shapes; of which of them the size is said."""
        said = (*sized, *(False,) * (len(scene.shapes) - len(sized)))
        things = tuple(
            Thing(shape.kind, shape.color, shape.size if named else None)
            for shape, named in zip(scene.shapes, said, strict=True)
        )
        first, *others = scene.shapes
        return cls(things, tuple(relation(first, other) for other in others))

    def altered(self) -> list[Caption]:
        """All captions that differ in one size, color, kind or relation, and the one without the
        last thing: none of them is true where this one is, if its things are different.

        >>> [str(other) for other in Caption.read("a red square above a red circle").altered()[-4:]]
        ['a red square left of a red circle', 'a red square right of a red circle', \
'a red square below a red circle', 'a red square']
        """
        found = []
        for k, thing in enumerate(self.things):
            sizes = () if thing.size is None else RADII
            others = [
                *(Thing(thing.kind, color, thing.size) for color in COLORS),
                *(Thing(kind, thing.color, thing.size) for kind in KINDS),
                *(Thing(thing.kind, thing.color, size) for size in sizes),
            ]
            for other in others:
                if other != thing:
                    things = (*self.things[:k], other, *self.things[k + 1 :])
                    found.append(Caption(things, self.relations))
        for k, said in enumerate(self.relations):
            for other_way in RELATIONS:
                if other_way != said:
                    said_now = (*self.relations[:k], other_way, *self.relations[k + 1 :])
                    found.append(Caption(self.things, said_now))
        if self.relations:
            found.append(Caption(self.things[:-1], self.relations[:-1]))
        return found

    def true_of(self, scene: Scene) -> bool:
        """Whether a scene has just these things, in these places.

        >>> shapes = [SceneShape("circle", "red", 0.5, y, 0.1) for y in (0.2, 0.8)]
        >>> caption = Caption.read("a red circle above a small red circle")
        >>> caption.true_of(Scene(tuple(shapes))), caption.true_of(Scene((shapes[0],)))
        (True, False)
        """
        if len(scene.shapes) != len(self.things):
            return False
        return any(
            all(thing.fits(shape) for thing, shape in zip(self.things, order, strict=True))
            and all(
                relation(order[0], other) == said
                for said, other in zip(self.relations, order[1:], strict=True)
            )
            for order in permutations(scene.shapes)
        )


class _Reader:
    """Words from left to right."""

    def __init__(self, words: list[str], text: str) -> None:
        self.words, self.text, self.at = words, text, 0

    def left(self) -> bool:
        """Whether there are words left."""
        return self.at < len(self.words)

    def take(self, *wanted: str) -> str:
        """The next word, one of those that may come."""
        found = self.words[self.at] if self.left() else "the end"
        if not self.left() or found not in wanted:
            raise InputError(
                f"{self.text!r}: word {self.at + 1} is one of {', '.join(wanted)}, not {found!r}"
            )
        self.at += 1
        return found

    def thing(self) -> Thing:
        """`a` [size] color kind."""
        self.take("a")
        size = self.take(*RADII, *COLORS)
        if size in COLORS:
            return Thing(self.take(*KINDS), size)
        color = self.take(*COLORS)
        return Thing(self.take(*KINDS), color, size)

    def relation(self) -> str:
        """One of the relations, of one word or two."""
        first = self.take(*(r.split()[0] for r in RELATIONS))
        return first if first in RELATIONS else f"{first} {self.take('of')}"
