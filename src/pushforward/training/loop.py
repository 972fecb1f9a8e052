"""The loop of a run: the steps that change the model, and what is due between them."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward._random import derived_seed
from pushforward.training.average import Average
from pushforward.training.checkpoint import Checkpoints
from pushforward.training.engine import Engine
from pushforward.training.interrupts import Interrupted, Interrupts
from pushforward.training.judge import Judge
from pushforward.training.pairing import Pairing
from pushforward.training.position import Position
from pushforward.training.progress import Progress
from pushforward.training.randomness import dropout_seed, turn
from pushforward.training.run import Status
from pushforward.training.settings import Settings
from pushforward.training.trackers import Tracker
from pushforward.training.validation import Validation

__all__ = ["Loop"]

VALIDATION, _NOISE, _, _ORDER = range(4)


class Diverged(Exception):
    """Loss or gradients are no longer finite."""


class Loop:
    """Training from wherever the run stands to its last step."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        average: Average,
        validation: Validation | None,
        judge: Judge | None,
        position: Position,
    ) -> None:
        self.settings, self.engine, self.average = settings, engine, average
        self.objective, self.fabric = engine.objective, engine.fabric
        self.model: Any = self.objective.model
        self.validation, self.position = validation, position
        # Where the loss does not measure quality, the last model is the one to keep.
        self.judge = judge
        order = derived_seed(settings.seed, _ORDER)
        self.pairing = Pairing(self.objective, settings.batch, order)
        self.history: list[dict[str, Any]] = []
        self.good_step = position.step
        self.fault = ""
        self._unread: list[tuple[Tensor, Tensor]] = []
        # Reading a number makes a GPU wait, and processes meet: there, only every few steps.
        self._alone = self.fabric.device.type == "cpu" and self.fabric.world_size == 1
        self._stride = 1 if self._alone else 8

    def run(
        self,
        description: dict[str, Any],
        store: Checkpoints | None,
        trackers: Sequence[Tracker],
        progress: bool,
    ) -> Status:
        """Train up to the last step, an interrupt, or a loss that is not finite."""
        s, at = self.settings, self.position
        length = s.length
        start = time.monotonic() - at.seconds
        bar = Progress("training", length, done=at.step, show=progress)
        with Interrupts() as interrupts, bar, self._telling(bar, interrupts):
            while at.step < length and not self.stopped_early:
                try:
                    self._unread.append(self.optimize(at.step))
                except Interrupted:
                    return self._interrupted(description, store)
                at.step += 1
                last = at.step == length
                log = last or at.step % s.log_every == 0
                validate = self.validation is not None and s.validates(at.step)
                keep = last or at.step % s.checkpoint_every == 0
                if not (log or validate or keep or at.step % self._stride == 0):
                    continue
                try:
                    loss, norm, stop = self._read(interrupts.requested)
                    at.seconds = time.monotonic() - start
                    metrics: dict[str, Any] = {}
                    better = False
                    if log:
                        metrics = self._summary(norm)
                    if validate:
                        better = self._validate(metrics, bar)
                except Diverged as fault:
                    self.fault = str(fault)
                    return "diverged"
                if better or (keep and self.judge is None):
                    self.average.keep()
                    self.good_step = at.step
                if metrics:
                    self.history.append({"step": at.step, **metrics})
                    for tracker in trackers:
                        tracker.log(at.step, metrics)
                if store and (keep or better or stop or self.stopped_early):
                    self._save(description, store)
                bar(at.step, note=self._note(loss))
                if stop and not last and not self.stopped_early:
                    return "interrupted"
        return "finished"

    @contextlib.contextmanager
    def _telling(self, bar: Progress, interrupts: Interrupts) -> Iterator[None]:
        """Show what the model does before a step, and stop it there when a signal has come.

        Processes that train together stop at the end of a step, all at the same one.
        """

        def tell(what: str) -> None:
            if interrupts.requested and self.fabric.world_size == 1:
                raise Interrupted
            bar(self.position.step, note=what)

        self.model.tell = tell
        try:
            yield
        finally:
            del self.model.tell

    def _interrupted(self, description: dict[str, Any], store: Checkpoints | None) -> Status:
        """Keep where the run stands, in the middle of what comes before a step."""
        try:
            if self._unread:
                self._read(True)
        except Diverged as fault:
            self.fault = str(fault)
            return "diverged"
        if store is not None and not store.has(self.position.step):
            self._save(description, store)
        return "interrupted"

    def _save(self, description: dict[str, Any], store: Checkpoints) -> None:
        self.position.scaler = self.fabric.strategy.precision.state_dict()
        best = None if self.judge is None else self.judge.best
        store.save(
            self.position, description, self.model, self.average.model, self.engine.optimizer, best
        )

    def _note(self, loss: float) -> str:
        """What stands beside the progress: the loss, and whether validation has been rising."""
        best, rising = self.position.best, self.position.rising
        since = f", validation rising since step {best['step']:g}" if best and rising > 1 else ""
        return f"loss {loss:.4f}{since}"

    @property
    def stopped_early(self) -> bool:
        """Whether training ends before its last step, since validation has been rising."""
        rising = self.judge is not None and self.judge.exhausted
        return rising and self.position.step < self.settings.length

    def optimize(self, step: int) -> tuple[Tensor, Tensor]:
        """Optimizer step `step`; its loss and gradient norm, not yet read."""
        s = self.settings
        seed = derived_seed(s.seed, _NOISE, step)
        # Dropout draws from the global generator; the user's own comes back after the run.
        with turn(dropout_seed(seed), self.fabric.device):
            self.model.on_step(step, self.objective.source, self.objective.x, self.objective.c)
            loss = self.engine.gradients(self.pairing(step), seed)
            norm = self.engine.step(s.rate(step))
        self.average.update(step)
        return loss, norm

    def _read(self, stop: bool) -> tuple[float, float, bool]:
        """Take in what the last steps gave: the last loss and norm, and whether to stop.

        All processes come to the same answer. Raises `Diverged`.
        """
        first = self.position.step - len(self._unread) + 1
        if self._alone:
            # To put two numbers into one tensor takes longer than to read them.
            pairs = [(loss.item(), norm.item()) for loss, norm in self._unread]
        else:
            numbers = torch.stack([value for pair in self._unread for value in pair]).view(-1, 2)
            if self.fabric.world_size > 1:
                wish = numbers.new_full((1, 2), float(stop))
                numbers = self.fabric.all_reduce(torch.cat([numbers, wish]), reduce_op="mean")
                numbers, stop = numbers[:-1], bool(numbers[-1, 0] > 0)
            pairs = numbers.tolist()
        self._unread.clear()
        loss = norm = math.nan
        for k, (loss, norm) in enumerate(pairs):
            # Too large a loss scale gives infinite gradients; Fabric skips that step by itself.
            skipped = self.settings.precision == "16-mixed" and not math.isfinite(norm)
            if not math.isfinite(loss) or not (math.isfinite(norm) or skipped):
                raise Diverged(f"at step {first + k}: loss {loss:g}, gradient norm {norm:g}")
            self.position.loss_sum += loss
            self.position.losses += 1
        return loss, norm, stop

    def _summary(self, norm: float) -> dict[str, Any]:
        """One line of the log; the loss is the mean since the line before."""
        at = self.position
        mean = at.loss_sum / at.losses
        at.loss_sum, at.losses = 0.0, 0
        rate = self.settings.rate(at.step - 1)
        return {"loss": mean, "lr": rate, "grad_norm": norm, "seconds": round(at.seconds, 3)}

    def _validate(self, metrics: dict[str, Any], bar: Progress) -> bool:
        """Validate, note what was found, and say whether it is the best so far."""
        assert self.validation is not None
        at = self.position.step
        losses = self.validation(self.average.model, lambda what: bar(at, note=what))
        if self.fabric.world_size > 1:
            # The same but for rounding; processes must not differ about what is best.
            losses = self.fabric.all_reduce(losses, reduce_op="mean").cpu()
        mean = float(losses.mean())
        if not math.isfinite(mean):
            raise Diverged(f"at step {self.position.step}: validation loss {mean:g}")
        metrics["val_loss"] = mean
        if len(losses) > 1:
            metrics["val_stderr"] = float(losses.std()) / len(losses) ** 0.5
        if self.judge is None:
            return False
        better, found = self.judge(self.position.step, losses)
        metrics |= found
        return better
