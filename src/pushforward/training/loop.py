"""The loop of a run: its state, and the steps that change it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.data import Data
from pushforward.training.average import Average
from pushforward.training.checkpoint import Checkpoints
from pushforward.training.interrupts import Interrupts
from pushforward.training.progress import Progress
from pushforward.training.randomness import Batches, step_seed
from pushforward.training.run import Status
from pushforward.training.settings import Settings
from pushforward.training.trackers import Tracker

__all__ = ["Loop"]

_VALIDATION, _NOISE, _DROPOUT, _ORDER = range(4)


class Loop:
    """Training from wherever the run stands to its last step."""

    def __init__(
        self,
        settings: Settings,
        fabric: Any,
        wrapped: Any,
        model: nn.Module,
        average: Average,
        optimizer: Any,
        train: Data,
        held: Data | None,
    ) -> None:
        self.settings, self.fabric, self.wrapped, self.model = settings, fabric, wrapped, model
        self.average, self.optimizer = average, optimizer
        self.x, self.c = _on(fabric.device, model, train)
        self.held = None if held is None else _on(fabric.device, model, held)
        self.batches = Batches(len(train), settings.batch_size, step_seed(settings.seed, _ORDER))
        self.generator = torch.Generator(fabric.device)
        self.step, self.seconds, self.loss_sum, self.logged = 0, 0.0, 0.0, 0
        self.best: dict[str, float] | None = None
        self.history: list[dict[str, Any]] = []
        self.status: Status = "finished"
        self.fault = ""

    def adopt(self, step: int, state: dict[str, Any]) -> None:
        """Take over where a checkpoint left."""
        self.step, self.best, self.seconds = step, state["best"], state["seconds"]
        self.loss_sum, self.logged = state["loss_sum"], state["logged"]

    def run(
        self,
        description: dict[str, Any],
        store: Checkpoints | None,
        trackers: Sequence[Tracker],
        progress: bool,
    ) -> None:
        """Train up to the last step, an interrupt, or a loss that is not finite."""
        s = self.settings
        start = time.monotonic() - self.seconds
        show = progress and self.fabric.is_global_zero
        devices = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        with (
            Interrupts() as interrupts,
            torch.random.fork_rng(devices),
            Progress("training", s.steps, done=self.step, show=show) as bar,
        ):
            while self.step < s.steps:
                loss, norm = self._optimize()
                if not math.isfinite(loss) or not (
                    math.isfinite(norm) or s.precision == "16-mixed"
                ):
                    self.status = "diverged"
                    self.fault = f"loss {loss}, gradient norm {norm}"
                    break
                self.step += 1
                self.loss_sum, self.logged = self.loss_sum + loss, self.logged + 1
                self.seconds = time.monotonic() - start
                last = self.step == s.steps
                metrics: dict[str, Any] = {}
                if last or self.step % s.log_every == 0:
                    metrics = {
                        "loss": self.loss_sum / self.logged,
                        "lr": s.rate(self.step - 1),
                        "grad_norm": norm,
                        "seconds": round(self.seconds, 3),
                    }
                    self.loss_sum, self.logged = 0.0, 0
                if self.held is not None and (last or self.step % s.validate_every == 0):
                    metrics["val_loss"] = self._validate()
                    if self.best is None or metrics["val_loss"] < self.best["val_loss"]:
                        self.best = {"step": self.step, "val_loss": metrics["val_loss"]}
                if metrics:
                    self.history.append({"step": self.step, **metrics})
                    for tracker in trackers:
                        tracker.log(self.step, metrics)
                stop = interrupts.requested and not last
                if store and (last or stop or self._due()):
                    self._save(store, description)
                bar(self.step, note=f"loss {loss:.4f}")
                if stop:
                    self.status = "interrupted"
                    break
        for tracker in trackers:
            tracker.close()

    def _due(self) -> bool:
        """A checkpoint is due at regular steps and where validation was best so far."""
        best_now = self.best is not None and self.best["step"] == self.step
        return best_now or self.step % self.settings.checkpoint_every == 0

    def _save(self, store: Checkpoints, description: dict[str, Any]) -> None:
        state = {
            "best": self.best,
            "seconds": self.seconds,
            "loss_sum": self.loss_sum,
            "logged": self.logged,
            "settings": self.settings.describe(),
        }
        store.save(self.step, description, self.model, self.average.model, self.optimizer, state)

    def _optimize(self) -> tuple[float, float]:
        """One optimizer step; its loss and gradient norm. Weights stay if these are not finite."""
        s, fabric = self.settings, self.fabric
        seed = step_seed(s.seed, _NOISE, self.step, fabric.global_rank)
        self.generator.manual_seed(seed)
        # Dropout draws from the global generator, which is forked around the run.
        torch.manual_seed(step_seed(seed, _DROPOUT))
        rows = self.batches(self.step)[fabric.global_rank :: fabric.world_size]
        for group in self.optimizer.param_groups:
            group["lr"] = s.rate(self.step)
        total: Tensor | float = 0.0
        for k, part in enumerate(rows.chunk(s.accumulate)):
            part = part.to(self.x.device)
            c = None if self.c is None else self.c[part]
            with fabric.no_backward_sync(self.wrapped, enabled=k + 1 < s.accumulate):
                loss = self.wrapped.loss(self.x[part], c, generator=self.generator)
                loss = loss.mean() / s.accumulate
                fabric.backward(loss)
            total = total + loss.detach()
        norm = fabric.clip_gradients(
            self.wrapped, self.optimizer, max_norm=s.clip or math.inf, error_if_nonfinite=False
        )
        # One transfer for both numbers.
        loss_value, norm_value = torch.stack([torch.as_tensor(total), norm]).tolist()
        if math.isfinite(loss_value) and (math.isfinite(norm_value) or s.precision == "16-mixed"):
            self.optimizer.step()
            self.average.update(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        return loss_value, norm_value

    @torch.no_grad()
    def _validate(self) -> float:
        """The averaged model's loss on held-out data, with the same noise every time."""
        assert self.held is not None
        x, c = self.held
        generator = torch.Generator(x.device)
        generator.manual_seed(step_seed(self.settings.seed, _VALIDATION))
        model: Any = self.average.model
        total = 0.0
        for i in range(0, len(x), 512):
            part = slice(i, i + 512)
            loss = model.loss(x[part], None if c is None else c[part], generator=generator)
            total += float(loss.double().sum())
        return total / len(x)


def _on(device: torch.device, model: nn.Module, data: Data) -> tuple[Tensor, Tensor | None]:
    """Data on the device; labels only for a model that takes them."""
    takes_labels = model.capabilities.conditional and data.c is not None  # type: ignore[union-attr]
    return data.x.to(device), data.c.to(device) if takes_labels and data.c is not None else None
