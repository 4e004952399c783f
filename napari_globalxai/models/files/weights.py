"""Read weights in the formats that people save them in, without running code from the file."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from typing import Any

import torch
from torch import nn
from torch.fx import Graph

from napari_globalxai.errors import InputError
from napari_globalxai.models.files.archive_sizes import DAMAGED_ARCHIVE, check_archive
from napari_globalxai.models.files.networks import TRUST
from napari_globalxai.models.files.onnx_file import read_onnx
from napari_globalxai.models.files.script_safety import check_graphs, check_source
from napari_globalxai.models.files.weights_file import WeightsFile
from napari_globalxai.storage import check_regular

_UNREADABLE = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError),
    # What trusted pickles raise whose classes are not installed here, or have changed.
    *(AttributeError, ImportError, KeyError, TypeError),
)


def read_weights(file: WeightsFile, trust: bool) -> nn.Module | dict[str, Any]:
    """Read a file of weights.

    Parameters
    ----------
    file : WeightsFile
        TorchScript, ONNX, safetensors, a state dict, or, where it is trusted, a program of
        `torch.export` or a pickled module.
    trust : bool
        Whether code of the file may run.

    Returns
    -------
    torch.nn.Module or dict
        A whole network, or a checkpoint with weights in it.

    Raises
    ------
    InputError
        When the file cannot be read, or would have to be trusted.
    """
    if file.content is None:
        check_regular(file.path)
    suffix = file.path.suffix.lower()
    if suffix == ".safetensors":
        return _read_safetensors(file)
    if suffix == ".pt2":
        return _read_exported(file, trust)
    if suffix == ".onnx":
        return read_onnx(file)
    if _is_torchscript(file):
        return _read_torchscript(file, trust)
    return _read_pickle(file, trust)


def _read_safetensors(file: WeightsFile) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        content = file.path.read_bytes() if file.content is None else file.content
        return dict(load(content))
    except (SafetensorError, OSError, ValueError) as why:
        raise InputError(f"{file.path}: is not a safetensors file ({why}).") from why


def _read_pickle(file: WeightsFile, trust: bool) -> nn.Module | dict[str, Any]:
    try:
        with warnings.catch_warnings():
            # torch warns of pickles that it did not write, and then refuses them.
            warnings.simplefilter("ignore", UserWarning)
            value = torch.load(file.source(), map_location="cpu", weights_only=not trust)
    except _UNREADABLE as why:
        reason = (
            f" ({' '.join(str(why).split())[:200]})"
            if trust
            else f"; if it is a pickled module, {TRUST}"
        )
        raise InputError(
            f"{file.path}: is not TorchScript, safetensors or a plain state dict{reason}."
        ) from why
    if isinstance(value, nn.Module):
        return value
    if not isinstance(value, dict):
        raise InputError(f"{file.path}: holds no state dict.")
    whole = [item for item in value.values() if isinstance(item, nn.Module)]
    # Some save the network whole, with what else there is beside it.
    return whole[0] if len(whole) == 1 else value


def _is_torchscript(file: WeightsFile) -> bool:
    """TorchScript archives hold a `constants.pkl`; state dicts saved by torch do not."""
    if not zipfile.is_zipfile(file.source()):
        return False
    try:
        with zipfile.ZipFile(file.source()) as archive:
            check_archive(archive, file.size, file.path)
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except DAMAGED_ARCHIVE:
        return False


def _read_torchscript(file: WeightsFile, trust: bool) -> nn.Module:
    try:
        if not trust:
            check_source(file)
        with warnings.catch_warnings():
            # torch.jit is deprecated for new models, but it is how existing ones are published.
            warnings.simplefilter("ignore", DeprecationWarning)
            module: nn.Module = torch.jit.load(file.source(), map_location="cpu")
    except (RuntimeError, ValueError) as why:
        if isinstance(why, InputError):
            raise
        reason = (str(why).strip() or type(why).__name__).splitlines()[0]
        raise InputError(f"{file.path}: cannot be read as TorchScript ({reason}).") from why
    if not trust:
        check_graphs(module, file.path)
    return module


def _read_exported(file: WeightsFile, trust: bool) -> nn.Module:
    # PyTorch unpickles parts of such a file and evaluates formulas in it as Python.
    if not trust:
        raise InputError(f"{file.path}: is a program of torch.export; {TRUST}.")
    try:
        with warnings.catch_warnings():
            # torch's own use of its deprecated parts.
            warnings.simplefilter("ignore", FutureWarning)
            program = torch.export.load(file.source())
            # With its modules, unlike `program.module()`, so that it can be split at one.
            module = torch.export.unflatten(program)
    # Damaged archives fail in as many ways as they have parts.
    except Exception as why:
        reason = (str(why).strip() or type(why).__name__).splitlines()[0]
        raise InputError(f"{file.path}: cannot be read by torch.export ({reason}).") from why
    for part in module.modules():
        graph = getattr(part, "graph", None)
        if isinstance(graph, Graph):
            for node in graph.nodes:
                # Shapes noted at export; with symbols in them they cannot be copied.
                node.meta = {}
    return module
