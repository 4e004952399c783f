"""Read ONNX files as networks of PyTorch, so that all methods work on them.

Such a file holds a graph of known operations and no code. `onnx2pytorch` builds the network; what
it does not understand of what PyTorch's older exporter writes is said in other words before.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_globalxai.errors import InputError
from napari_globalxai.models.files.weights_file import WeightsFile
from napari_globalxai.models.running.copying import copy_network
from napari_globalxai.storage import check_regular

# Beyond the end of any axis.
_END = 1 << 40
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_LOOPS = ("Loop", "Scan")


def read_onnx(file: WeightsFile) -> nn.Module:
    """Read an ONNX file.

    Parameters
    ----------
    file : WeightsFile
        The file; weights that it keeps in files of their own are read from beside it.

    Raises
    ------
    InputError
        When it cannot be read, has operations that cannot be built, or the extra ``onnx`` is not
        installed.
    """
    try:
        import onnx

        network_class = _network_class()
    # Where torchvision, which onnx2pytorch needs, does not fit torch, its import fails otherwise.
    except (ImportError, RuntimeError) as why:
        raise InputError(
            f"{file.path}: ONNX cannot be read here ({' '.join(str(why).split())[:200]}); "
            "pip install 'napari-globalxai[onnx]', with a torchvision that fits torch."
        ) from why
    try:
        if file.content is None:
            _check_places(file.path, onnx.load(str(file.path), load_external_data=False).graph)
            model = onnx.load(str(file.path))
        else:
            model = onnx.load_model_from_string(file.content)
        onnx.checker.check_model(model)
    # Damaged files fail in protobuf or anywhere behind it.
    except Exception as why:
        if isinstance(why, InputError):
            raise
        reason = (str(why).strip() or type(why).__name__).splitlines()[0][:200]
        raise InputError(f"{file.path}: cannot be read as ONNX ({reason}).") from why
    _check_operators(file.path, model)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise InputError(
            f"{file.path}: takes {len(inputs)} inputs ({', '.join(inputs)}); a network must take "
            "images alone."
        )
    _simplify(model.graph)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network: nn.Module = network_class(model)
        # Parts that cannot be copied would fail later, and elsewhere.
        return copy_network(network)
    # Operations and attributes that are not known raise whatever comes first.
    except Exception as why:
        reason = " ".join(str(why).split())[:200] or type(why).__name__
        raise InputError(
            f"{file.path}: has an operation that cannot be built in PyTorch ({reason}); give the "
            "network in another format."
        ) from why


def external_files(path: Path) -> list[Path]:
    """Return the files beside an ONNX file that hold tensors of it, sorted by name.

    Parameters
    ----------
    path : pathlib.Path
        A file that `read_onnx` could read.
    """
    import onnx

    names = _places(onnx.load(str(path), load_external_data=False).graph)
    return [path.parent / name for name in sorted(names)]


def _places(graph: Any) -> set[str]:
    """Return the names of the files that a graph keeps tensors in."""
    constants = (attribute.t for node in graph.node for attribute in node.attribute)
    return {
        entry.value
        for tensor in chain(graph.initializer, constants)
        for entry in tensor.external_data
        if entry.key == "location"
    }


def _check_places(path: Path, graph: Any) -> None:
    """Refuse weights in files that do not lie beside the network's."""
    folder = path.parent.resolve()
    for name in _places(graph):
        if not (folder / name).resolve().is_relative_to(folder):
            raise InputError(
                f"{path}: keeps weights in {name!r}, outside its folder; put that file beside it."
            )
        check_regular(folder / name)


def _check_operators(path: Path, model: Any) -> None:
    """Refuse operators that somebody else defines, or that may go on for ever."""
    graphs = [model.graph, *model.functions]
    while graphs:
        for node in graphs.pop().node:
            if node.domain not in _DOMAINS:
                raise InputError(
                    f"{path}: uses {node.op_type} of the domain {node.domain!r}, which is not "
                    "ONNX's own; give the network in another format."
                )
            if node.op_type in _LOOPS:
                raise InputError(
                    f"{path}: has a loop ({node.op_type}), which may have no end; give the network "
                    "in another format."
                )
            for attribute in node.attribute:
                graphs += [each for each in (attribute.g, *attribute.graphs) if len(each.node)]


class _IndexByTuples(TorchFunctionMode):
    """Reads x[[a, b]] as x[a, b], as `onnx2pytorch` means it and PyTorch once did."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.__getitem__ and isinstance(args[1], list):
            args = (args[0], tuple(_with_plain_bounds(each) for each in args[1]))
        return func(*args, **(kwargs or {}))


def _with_plain_bounds(index: Any) -> Any:
    # PyTorch warns of the largest number there is, ONNX's word for the end.
    if not isinstance(index, slice):
        return index
    bounds = (index.start, index.stop, index.step)
    return slice(
        *(None if bound is None else max(-_END, min(int(bound), _END)) for bound in bounds)
    )


def _network_class() -> type[nn.Module]:
    from onnx2pytorch import ConvertModel

    class OnnxNetwork(ConvertModel):  # type: ignore[misc]
        """What `onnx2pytorch` builds."""

        def forward(self, images: Tensor) -> Any:
            """Run the graph."""
            with _IndexByTuples():
                return super().forward(images)

    return OnnxNetwork


def _simplify(graph: Any) -> None:
    """Say in other words what the older exporter of PyTorch writes, without changing answers."""
    weights = {tensor.name for tensor in graph.initializer}
    # Equal weights are stored once, and passed on.
    same: dict[str, str] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in weights:
            same[node.output[0]] = same.get(node.input[0], node.input[0])
        else:
            kept.append(node)
    outputs = {output.name for output in graph.output}
    if not outputs & same.keys():
        del graph.node[:]
        graph.node.extend(kept)
        for node in graph.node:
            node.input[:] = [same.get(name, name) for name in node.input]
    if not any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        _rename_values(graph)
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            for attribute in [each for each in node.attribute if each.name == "training_mode"]:
                if not attribute.i:
                    node.attribute.remove(attribute)


def _rename_values(graph: Any) -> None:
    """Name values by letters and digits: they become names of modules, which hold no dots."""
    fixed = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    names: dict[str, str] = {}
    taken = set(fixed)
    for node in graph.node:
        for value in node.output:
            if value and value not in fixed:
                plain = re.sub(r"[^A-Za-z0-9]+", "_", value.removesuffix("_output_0")).strip("_")
                plain = plain or "value"
                candidates = chain([plain], (f"{plain}_{number}" for number in count()))
                names[value] = next(name for name in candidates if name not in taken)
                taken.add(names[value])
    for node in graph.node:
        node.input[:] = [names.get(value, value) for value in node.input]
        node.output[:] = [names.get(value, value) for value in node.output]
