"""A classifier of real pictures: features for distances, labels for conditional samples.

Distances between pixels hardly see what a picture shows. A network that tells the classes of the
real data apart has learned what matters in them: its last layer before the decision gives the
features in which `frechet_distance` compares sets of pictures, and its decisions say whether a
picture drawn for a class shows that class.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from pushforward._files import replacing
from pushforward._random import resolve
from pushforward.errors import InputError, TrainingError
from pushforward.metrics._points import checked
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.units import training_units

__all__ = ["FeatureClassifier", "class_accuracy", "train_features"]

FORMAT = 1
"""The version of the saved file's layout; a newer one is refused."""

_SMALLEST = 8  # pixels: three times halved, one is left
_CHANNELS = (32, 64, 128)
_RATE = 4e-3
_DECAY = 0.05
_RISE = 0.2  # of all steps
_DROPPED = 0.1  # of the features, while training
_SHIFT = 28  # pictures are moved by up to this part of their side
_PART = 1000  # pictures that are judged at once


_UNREADABLE = (
    *(OSError, safetensors.SafetensorError, KeyError, IndexError, ValueError, TypeError),
    *(AttributeError, RuntimeError),
)


class FeatureClassifier(nn.Module):
    """A convolutional classifier of pictures whose last hidden layer serves as features.

    Three convolutions with batch normalization, each of which halves the picture, then one layer of
    `width` features and the logits. Pictures enter in the units of the data; the classifier
    keeps the training data's mean picture and spread. It judges in evaluation mode always.

    Args:
        event_shape: `(C, H, W)` of a picture, at least 8 x 8 pixels.
        classes: how many classes it tells apart, 2 or more.
        width: the number of features.

    Raises `InputError` for other shapes or numbers.

    >>> judge = FeatureClassifier((1, 8, 8), classes=10)
    >>> judge.features(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 64])
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, event_shape: tuple[int, ...], classes: int, width: int = 64) -> None:
        super().__init__()
        if len(event_shape) != 3 or min(event_shape[1:]) < _SMALLEST or event_shape[0] < 1:
            raise InputError(
                f"pictures have shape (C, H, W) with at least {_SMALLEST} x {_SMALLEST} pixels, "
                f"not {tuple(event_shape)}"
            )
        if classes < 2 or width < 1:
            raise InputError(
                f"classes={classes}, width={width}: two classes and one feature are the least"
            )
        self.event_shape, self.classes, self.width = tuple(event_shape), classes, width
        layers: list[nn.Module] = []
        before = event_shape[0]
        for i, channels in enumerate(_CHANNELS):
            # At full size a convolution would take more time than all others: the first strides.
            halving: list[nn.Module] = [nn.Conv2d(before, channels, 5, 2, 2, bias=False)]
            if i > 0:
                halving = [nn.Conv2d(before, channels, 3, 1, 1, bias=False), nn.MaxPool2d(2)]
            layers += [*halving, nn.BatchNorm2d(channels), nn.ReLU()]
            before = channels
        height, breadth = ((side + 1) // 2 // 2 ** (len(_CHANNELS) - 1) for side in event_shape[1:])
        layers += [nn.Flatten(), nn.Linear(before * height * breadth, width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)
        self.register_buffer("shift", torch.zeros(self.event_shape))
        self.register_buffer("scale", torch.ones(()))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """The logits `(B, K)` of pictures `(B, C, H, W)`; while training, of part of the features.

        >>> FeatureClassifier((3, 16, 16), classes=4)(torch.zeros(2, 3, 16, 16)).shape
        torch.Size([2, 4])
        """
        hidden = self._hidden(x)
        return self.head(nn.functional.dropout(hidden, _DROPPED, self.training))

    def features(self, x: Tensor) -> Tensor:
        """The features `(N, width)` of pictures `(N, C, H, W)`, float32, on the CPU.

        Raises `InputError` for pictures of another shape, NaN or infinity.
        """
        return self._judged(x, self._hidden)

    def predict(self, x: Tensor) -> Tensor:
        """The most probable class of each picture, `(N,)`, int64, on the CPU.

        Raises `InputError` as `features` does.
        """
        return self._judged(x, lambda part: self(part).argmax(1))

    def accuracy(self, x: Tensor, labels: Tensor) -> Estimate:
        """The share of pictures that are judged to be of the class that their label names.

        On real data that the classifier was not trained on, it says how far its judgments can be
        trusted; on samples drawn for given classes, how often they show what they were drawn for.

        Args:
            x: pictures `(N, C, H, W)`.
            labels: the class of each, `(N,)`, int64.

        Returns the share with its binomial standard error. Raises `InputError` as `features` does,
        and for labels that do not fit.
        """
        return _share(self._right(x, labels))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write one `.safetensors` file, replaced at once, never half written.

        Raises `InputError` for a path with another suffix.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise InputError(f"a classifier is saved as NAME.safetensors, not {path.name!r}")
        shape = {"event_shape": self.event_shape, "classes": self.classes, "width": self.width}
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.contiguous() for name, value in self.state_dict().items()}
        about = {"feature_classifier": json.dumps({"format": FORMAT} | shape)}
        with replacing(path) as partial:
            safetensors.torch.save_file(tensors, partial, metadata=about)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> FeatureClassifier:
        """The classifier in a file made by `save`; nothing in it is executed.

        Raises `InputError` for a file that is missing, damaged, or holds something else.

        >>> import tempfile
        >>> judge, x = FeatureClassifier((1, 8, 8), classes=3), torch.ones(4, 1, 8, 8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = FeatureClassifier.load(judge.save(f"{folder}/judge.safetensors"))
        >>> torch.equal(again.features(x), judge.features(x))
        True
        """
        path = Path(path)
        try:
            with safetensors.safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            shape = json.loads(metadata["feature_classifier"])
            found = int(shape["format"])
            # The weights are about to be replaced: their random start must not move the user's
            # generator.
            with torch.random.fork_rng(devices=[]):
                made = cls(tuple(shape["event_shape"]), shape["classes"], shape["width"])
            if found <= FORMAT:
                made.load_state_dict(tensors)
        except FileNotFoundError:
            raise InputError(f"there is no file {path}") from None
        except _UNREADABLE as error:
            raise InputError(
                f"{path} holds no feature classifier ({type(error).__name__}: {error})"
            ) from None
        if found > FORMAT:
            raise InputError(
                f"{path} has layout {found}, this version reads up to {FORMAT}: "
                "pip install --upgrade pushforward"
            )
        return made

    def _hidden(self, x: Tensor) -> Tensor:
        # The order of memory that convolutions on the CPU are fastest in.
        return self.body(((x - self.shift) / self.scale).to(memory_format=torch.channels_last))

    def _judged(self, x: Tensor, judge: Callable[[Tensor], Tensor]) -> Tensor:
        """What `judge` says of the pictures, part by part on the classifier's device."""
        checked(x, "x", minimum=1)
        if tuple(x.shape[1:]) != self.event_shape:
            raise InputError(
                f"x has events of shape {tuple(x.shape[1:])}, but the classifier was made for "
                f"{self.event_shape}"
            )
        self.eval()
        with torch.no_grad():
            parts = x.detach().split(_PART)
            return torch.cat([judge(part.to(self.shift)).cpu() for part in parts])

    def _right(self, x: Tensor, labels: Tensor) -> Tensor:
        """Which pictures are judged to be of their class, `(N,)`."""
        _check_labels(labels, len(x), self.classes)
        return self.predict(x) == labels.cpu()


def class_accuracy(
    classifier: FeatureClassifier, x: Tensor, labels: Tensor
) -> tuple[Estimate, ...]:
    """The accuracy of each class: of the pictures drawn for it, the share judged to show it.

    Arguments and errors are those of `FeatureClassifier.accuracy`. A class that no label names has
    the value and the standard error NaN.

    >>> judge = FeatureClassifier((1, 8, 8), classes=2)
    >>> [e.n for e in class_accuracy(judge, torch.zeros(5, 1, 8, 8), torch.tensor([0, 0, 1, 1, 1]))]
    [2, 3]
    """
    right = classifier._right(x, labels)
    labels = labels.cpu()
    return tuple(_share(right[labels == k]) for k in range(classifier.classes))


def train_features(
    x: Tensor,
    labels: Tensor,
    *,
    classes: int | None = None,
    width: int = 64,
    steps: int = 3000,
    batch_size: int = 128,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> FeatureClassifier:
    """A `FeatureClassifier` trained on real pictures and their labels.

    Least cross-entropy by AdamW, with a rate that rises and falls once. Train it on real data only,
    and keep it beside the numbers it gave: distances in the features of different classifiers
    cannot be compared.

    Args:
        x: real pictures `(N, C, H, W)` in the units of the data.
        labels: their classes, `(N,)`, int64 from 0.
        classes: the number of classes, by default the largest label and one.
        width: the number of features.
        steps: optimizer steps; 3000 of 128 pictures are six passes over 60,000.
        batch_size: pictures in a step, at most all of them.
        seed: of the first weights and the order of the pictures.
        device: where to train; the result lives there.

    Raises `InputError` for shapes, labels or numbers that do not fit, and `TrainingError` if the
    loss becomes NaN or infinite.

    >>> x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> labels = torch.arange(64) % 2
    >>> x[labels == 1, :, :, 4:] += 1
    >>> train_features(x, labels, steps=20).accuracy(x, labels).value > 0.9
    True
    """
    checked(x, "x")
    if steps < 1 or batch_size < 2:
        raise InputError(
            f"steps={steps}, batch_size={batch_size}: one step of two pictures is the least"
        )
    _check_labels(labels, len(x), classes)
    classes = int(labels.max()) + 1 if classes is None else classes
    generator = resolve(seed)
    with torch.random.fork_rng():
        # The layers of torch and their dropout know no generator but the global one.
        torch.manual_seed(seed)
        judge = FeatureClassifier(tuple(x.shape[1:]), classes, width)
        shift, scale = training_units(x, common_scale=True)
        judge.shift.copy_(shift.reshape(judge.event_shape))
        judge.scale.copy_(scale[0])
        judge.to(device).train()
        loss = _descend(judge, x.detach(), labels, steps, min(batch_size, len(x)), generator)
    if not math.isfinite(loss):
        raise TrainingError(f"the loss of the classifier is {loss} after {steps} steps")
    return judge.eval()


def _descend(
    judge: FeatureClassifier,
    x: Tensor,
    labels: Tensor,
    steps: int,
    batch_size: int,
    generator: torch.Generator,
) -> float:
    """Train for so many steps; the last loss."""
    rows = _rows(len(x), batch_size, generator)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=_RATE, weight_decay=_DECAY)
    rise = max(round(_RISE * steps), 1)

    def rate(step: int) -> float:
        return min((step + 1) / rise, (steps - step) / max(steps - rise, 1))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    loss = torch.zeros(())
    with torch.enable_grad():
        for _ in range(steps):
            some = next(rows)
            batch = x[some.to(x.device)].to(judge.shift)
            target = labels[some.to(labels.device)].to(batch.device)
            loss = nn.functional.cross_entropy(judge(_shifted(batch, generator)), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return float(loss.detach())


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture moved by a few pixels at random, its rim repeated: what it shows stays."""
    height, breadth = x.shape[2:]
    reach = min(height, breadth) // _SHIFT
    down, right = torch.randint(-reach, reach + 1, (2, len(x), 1), generator=generator).to(x.device)
    rows = (torch.arange(height, device=x.device) + down).clamp(0, height - 1)
    columns = (torch.arange(breadth, device=x.device) + right).clamp(0, breadth - 1)
    picture = torch.arange(len(x), device=x.device)[:, None, None]
    # Indices apart from one another put the channels last.
    return x[picture, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _rows(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of row numbers without end, pass after pass, each in a new order."""
    while True:
        order = torch.randperm(n, generator=generator)
        # The tail is left to other passes: a normalization needs full batches.
        yield from order[: n // size * size].split(size)


def _share(right: Tensor) -> Estimate:
    n = right.numel()
    if n == 0:
        return Estimate(math.nan, math.nan, 0)
    # Laplace's rule keeps the error above zero where every decision was right.
    share = (float(right.sum()) + 1) / (n + 2)
    return Estimate(float(right.double().mean()), math.sqrt(share * (1 - share) / n), n)


def _check_labels(labels: Tensor, n: int, classes: int | None) -> None:
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or tuple(labels.shape) != (n,):
        what = (
            f"{labels.dtype} {tuple(labels.shape)}"
            if isinstance(labels, Tensor)
            else type(labels).__name__
        )
        raise InputError(f"labels are an int64 tensor of shape ({n},), not {what}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= classes):
        most = "" if classes is None else f" to {classes - 1}"
        raise InputError(f"labels run from {low} to {high}; they number classes from 0{most}")
    if classes is None and low == high:
        raise InputError(f"every label is {low}: a classifier needs two classes at least")
