"""Hold a network against its card on a probe, and say the real reason where it does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.export.unflatten import UnflattenedModule

from napari_globalxai.errors import InputError, is_out_of_memory
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.running.first_run import FirstRun
from napari_globalxai.models.running.outputs import (
    as_rows,
    describe_outputs,
    find_logits,
    taken_from,
)
from napari_globalxai.models.running.shaping import Shaping
from napari_globalxai.models.running.watched_operators import OperatorWatch

_DROPOUTS = ("native_dropout", "bernoulli", "bernoulli_", "dropout", "rand_like", "randn_like")
# By the place of the argument that says whether the statistics of the batch are taken.
_BATCH_NORMS = {"native_batch_norm": 5, "_native_batch_norm_legit": 5, "cudnn_batch_norm": 5}


class _Observed(OperatorWatch):
    """Notes what a network does that it should do in training alone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.draws = False
        self.drops = False
        self.uses_batch = False
        self.is_training = False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func.overloadpacket.__name__
        self.draws |= torch.Tag.nondeterministic_seeded in func.tags
        self.drops |= name in _DROPOUTS
        if name in _BATCH_NORMS:
            without = func._overloadname == "no_stats" or args[3] is None
            uses_batch = bool(args[3 if func._overloadname == "no_stats" else _BATCH_NORMS[name]])
            self.uses_batch |= uses_batch
            self.is_training |= uses_batch and not without
        return func(*args, **(kwargs or {}))


class NetworkChecks:
    """Checks of a network on a probe, one after another.

    Parameters
    ----------
    network : torch.nn.Module
        The classifier's own copy, in eval mode; hooks are put on it where its inputs or outputs
        need them.
    card : ModelCard
        What it is held against.
    probe : torch.Tensor
        Two different inputs.
    name : str
        Names the model in messages.
    warn : callable
        Called with a sentence on what is odd.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        probe: Tensor,
        name: str,
        warn: Callable[[str], object],
    ) -> None:
        self._network = network
        self._card = card
        self._probe = probe
        self._name = name
        self._warn = warn
        self._is_script = isinstance(network, torch.jit.ScriptModule)
        self._shaping = Shaping()

    def run(self) -> tuple[Shaping, Tensor]:
        """Run all checks.

        Returns
        -------
        Shaping
            What was put around the network.
        torch.Tensor
            Its outputs for the probe.

        Raises
        ------
        InputError
            When the network does not fit its card, or its answers are not its own.
        """
        outputs = self._keep_rows(self._keep_logits(self._first_run()))
        self._check_shape(outputs)
        self._check_own_answers(outputs)
        self._check_activation(outputs)
        return self._shaping, outputs

    def _put_on(self, **shaping: Any) -> None:
        Shaping(**shaping).put_on(self._network, len(self._card.labels))
        self._shaping = replace(self._shaping, **shaping)

    def _first_run(self) -> Any:
        given, bounds = self._probe.clone(), FirstRun()
        try:
            with torch.no_grad(), bounds:
                outputs = self._network(given)
        # Networks of all kinds of authors raise whatever comes first.
        except Exception as why:
            if is_out_of_memory(why):
                raise
            if bounds.exceeded:
                raise InputError(
                    f"{self._name}: the network {bounds.exceeded}, as no classifier of images does."
                ) from why
            reason = (str(why).strip() or type(why).__name__).splitlines()[-1][:200]
            raise InputError(
                f"{self._name}: the network does not take the card's input "
                f"{tuple(self._probe.shape[1:])} ({self._channel_advice() or reason})."
            ) from why
        if not self._is_script and not torch.equal(given, self._probe):
            # It works in place on what it is given, which others still need.
            self._put_on(copies_input=True)
        return outputs

    def _keep_logits(self, outputs: Any) -> Any:
        """Make the network give its logits alone, where it gives more; return them."""
        if isinstance(outputs, Tensor):
            return outputs
        places = find_logits(outputs, len(self._probe), len(self._card.labels))
        # TorchScript takes no hooks.
        if not places or self._is_script:
            return outputs
        if len(places) > 1 and "logits" not in places[0]:
            self._warn(
                f"The network gives {len(places)} tensors that could be its logits; the first is "
                "taken."
            )
        self._put_on(logits=places[0])
        return taken_from(outputs, places[0])

    def _keep_rows(self, outputs: Any) -> Any:
        """Make the network give a row an image where it gives the same numbers in another shape."""
        labels = len(self._card.labels)
        rows = as_rows(outputs, len(self._probe), labels)
        # One image may lose the dimension that two have.
        squeezes = rows is not None and self._drops_dimensions()
        if rows is None or not (outputs.ndim != 2 or squeezes) or self._is_script:
            return outputs if rows is None else rows
        self._put_on(rows=True)
        return rows

    @cached_property
    def _single(self) -> tuple[Any, _Observed]:
        """What the network gives for one image alone, None where it fails, and what it does."""
        observed = _Observed()
        try:
            with torch.no_grad(), observed:
                return self._network(self._probe[:1].clone()), observed
        # That a single image is not taken is said later.
        except Exception as why:
            if is_out_of_memory(why):
                raise
            return None, observed

    def _drops_dimensions(self) -> bool:
        single, _ = self._single
        return isinstance(single, Tensor) and single.ndim != 2

    def _check_shape(self, outputs: Any) -> None:
        name, labels = self._name, len(self._card.labels)
        if not isinstance(outputs, Tensor) and self._is_script:
            raise InputError(
                f"{name}: the network gives a {type(outputs).__name__} with "
                f"{describe_outputs(outputs)}; TorchScript must give its logits alone, one row of "
                f"{labels} outputs an image."
            )
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            raise InputError(
                f"{name}: the network does not give one row of {labels} outputs an image but "
                f"{describe_outputs(outputs)}."
            )
        if outputs.shape[1] != labels:
            raise InputError(
                f"{name}: the network has {outputs.shape[1]} outputs but the card names {labels} "
                "labels."
            )
        if not bool(torch.isfinite(outputs).all()):
            raise InputError(f"{name}: the network gives values that are not finite.")

    def _check_own_answers(self, outputs: Tensor) -> None:
        """Refuse a network whose answer for an image depends on chance, or on its batch."""
        given, observed = self._single
        single = self._rows(given, 1)
        fits = isinstance(single, Tensor) and single.shape == outputs[:1].shape
        agrees = fits and _agree(single, outputs[:1]) and self._minds_no_neighbour(outputs)
        # Three runs that agree were not left to chance, if nothing was drawn in them.
        if not agrees or observed.draws:
            self._check_same_again(outputs)
        if agrees:
            return
        if fits:
            raise InputError(f"{self._name}: {self._why_not_alone(observed)}")
        with torch.no_grad(), _Observed() as observed:
            self._network(self._probe.clone())
        if observed.uses_batch:
            raise InputError(f"{self._name}: {self._why_not_alone(observed)}")
        raise InputError(
            f"{self._name}: the network does not take a batch of any size; export it with an "
            "example of two images or more, and a dynamic batch dimension."
        )

    def _check_same_again(self, outputs: Tensor) -> None:
        """Refuse a network whose answers are drawn at random."""
        with torch.no_grad(), _Observed() as observed:
            again = self._rows(self._network(self._probe.clone()), len(self._probe))
        # Faint noise changes little but the last digits, and with them every run.
        drawn = observed.draws and not torch.equal(again, outputs)
        if _agree(again, outputs) and not drawn:
            return
        if observed.drops and self._is_compiled:
            raise InputError(f"{self._name}: {_TRACED_IN_TRAINING.format('dropout stays on')}")
        raise InputError(
            f"{self._name}: the network answers differently each time it sees an image (dropout or "
            "other noise stays on in eval mode); save it with that switched off."
        )

    def _minds_no_neighbour(self, outputs: Tensor) -> bool:
        """Return whether the first image's answer stays behind one of quite other values.

        Behind it, and not before: where the first of a batch is what all are measured by, its own
        answer stays as it is.
        """
        pair = torch.cat([3 * self._probe[1:2] + 1, self._probe[:1]])
        try:
            with torch.no_grad():
                beside = self._rows(self._network(pair), len(pair))
        # What a network makes of such inputs is no fault of its card.
        except Exception as why:
            if is_out_of_memory(why):
                raise
            return True
        # Numbers rounded by a scale of the whole batch may change a little.
        change = (beside[1] - outputs[0]).norm()
        return not bool(change > 0.02 * outputs.norm())

    def _why_not_alone(self, observed: _Observed) -> str:
        without = [
            name
            for name, module in self._network.named_modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
        ]
        if observed.is_training and self._is_compiled:
            return _TRACED_IN_TRAINING.format(
                "batch normalisation takes the statistics of each batch"
            )
        if without or (observed.uses_batch and self._is_compiled):
            named = f" ({without[0]})" if without else ""
            return (
                f"batch normalisation without running statistics{named} makes the answer "
                "for an image depend on the others in its batch; save the network with running "
                "statistics."
            )
        return (
            "the network's answer for an image depends on the others in its batch, as where "
            "something is normalised over the batch; it must answer images one by one."
        )

    def _check_activation(self, outputs: Tensor) -> None:
        if self._card.activation == "none":
            if outputs.min() < 0 or outputs.max() > 1:
                raise InputError(
                    f"{self._name}: the card's activation is none, but outputs are not "
                    "probabilities."
                )
        elif self._gives_probabilities(outputs):
            self._warn(
                f"The model's outputs look like probabilities already, but its card says that "
                f"{self._card.activation} is still to be applied; is activation: none right?"
            )

    def _gives_probabilities(self, outputs: Tensor) -> bool:
        """Return whether outputs stay within 0 and 1 for inputs beyond all measure, too."""
        if not _within_0_and_1(outputs):
            return False
        try:
            with torch.no_grad():
                extreme = self._network(self._probe * 1000)
        # What a network makes of such inputs is no fault of its card.
        except Exception as why:
            if is_out_of_memory(why):
                raise
            return False
        return _within_0_and_1(extreme)

    def _channel_advice(self) -> str:
        """Return what the first layer takes, where the card says something else."""
        kernels = [value for value in self._network.state_dict().values() if value.ndim == 4]
        taken = int(kernels[0].shape[1]) if kernels else len(self._card.input.channels)
        if taken == len(self._card.input.channels):
            return ""
        return f"its first layer takes {taken} channels"

    @property
    def _is_compiled(self) -> bool:
        return isinstance(self._network, torch.jit.ScriptModule | UnflattenedModule)

    def _rows(self, outputs: Any, images: int) -> Any:
        rows = as_rows(outputs, images, len(self._card.labels))
        return outputs if rows is None else rows


_TRACED_IN_TRAINING = (
    "the network was traced or exported in training mode ({}); call its eval() before that."
)


def _agree(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and bool(torch.allclose(one, two, rtol=1e-3, atol=1e-4))


def _within_0_and_1(outputs: Tensor) -> bool:
    return bool(((outputs >= 0) & (outputs <= 1)).all())
