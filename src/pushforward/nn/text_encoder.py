"""A transformer that reads texts, trained along with the network that is told of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.vocabulary import Vocabulary

__all__ = ["TextEncoder"]


@configurable
class TextEncoder(nn.Module):
    """Texts as sequences of vectors, one for each word, that know of the other words.

    Words and their places have learned vectors. A convolution over three words tells each what
    stands beside it, as in Gulati et al. (2020): a color and the kind after it are then read as one
    from the start, where attention would first have to find out what neighbors are. Layers of
    self-attention and of a perceptron, each on normalized input, follow (Vaswani et al. 2017; the
    text encoder of Radford et al. 2021 is such a one). The words are arguments, so that they are
    saved with the model as plain values.

    Args:
        words: the vocabulary: what is no word of it is refused.
        length: the most words of a text.
        width: features of each word.
        depth: layers.
        heads: attention heads, a divisor of the width.

    Raises `InputError` for sizes that do not fit, or what is no vocabulary.

    >>> encoder = TextEncoder(("a", "circle", "red"), length=4, width=8, heads=2)
    >>> sequence, mask = encoder(encoder.vocabulary.encode(["a red circle", ""]))
    >>> sequence.shape, mask.sum(1).tolist()
    (torch.Size([2, 4, 8]), [3, 0])
    """

    def __init__(
        self,
        words: Sequence[str],
        length: int,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(tuple(words), length)
        self.width, heads = whole("width", width), whole("heads", heads)
        if width % heads:
            raise InputError(f"width {width} must be a multiple of heads={heads}")
        self.words = nn.Embedding(len(self.vocabulary.words), width)
        # As long as the vectors of words: next to these, short ones would be overlooked.
        self.places = nn.Parameter(torch.randn(length, width))
        self.neighbors = nn.Conv1d(width, width, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                heads,
                dim_feedforward=4 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(layers("depth", depth))
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors `(B, length, width)` of numbers of words `(B, length)`, and which are there.

        -1 stands for no word: its vector is zero, and no other word sees it.
        """
        mask = tokens >= 0
        words = self.words(tokens.clamp(min=0)) * mask.unsqueeze(-1)
        beside = functional.gelu(self.neighbors(words.transpose(1, 2))).transpose(1, 2)
        h = words + beside + self.places
        # Where there is nothing to look at, the softmax would be of an empty set.
        seen = mask | ~mask.any(1, keepdim=True)
        for layer in self.layers:
            h = layer(h, src_key_padding_mask=~seen)
        return self.norm(h) * mask.unsqueeze(-1), mask
