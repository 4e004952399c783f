"""Find the logits in what a network gives, where that is more than one tensor.

Networks give hidden states beside their logits (MONAI's ViT), answers of several heads, or a
mapping with names, as those of transformers libraries do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

Place = tuple[Any, ...]


def taken_from(outputs: Any, place: Place) -> Any:
    """Return what stands at a place of a network's outputs."""
    for key in place:
        outputs = outputs[key]
    return outputs


def find_logits(outputs: Any, images: int, labels: int) -> list[Place]:
    """Return the places of all tensors (images, labels) in a network's outputs.

    Parameters
    ----------
    outputs : object
        What the network gave: a tensor, or sequences and mappings of tensors.
    images, labels : int
        The shape to look for.

    Returns
    -------
    list of tuple
        Those whose key is ``logits`` first, the others in the order of the outputs. The place of
        a tensor that is not inside anything is empty.
    """
    shapes = [(images, labels), *([(images,)] if labels == 1 else [])]
    found = [place for place, tensor in _tensors(outputs) if tuple(tensor.shape) in shapes]
    return sorted(found, key=lambda place: "logits" not in place)


def as_rows(outputs: Any, images: int, labels: int) -> Tensor | None:
    """Return outputs as (images, labels) if they are that but for dimensions of size 1."""
    if not isinstance(outputs, Tensor):
        return None
    sizes = [size for size in outputs.shape if size != 1]
    if sizes != [size for size in (images, labels) if size != 1]:
        return None
    return outputs if outputs.shape == (images, labels) else outputs.reshape(images, labels)


def describe_outputs(outputs: Any) -> str:
    """Say what a network gave, for a message."""
    shapes = [" × ".join(map(str, tensor.shape)) for _, tensor in _tensors(outputs)]
    if not shapes:
        return f"a {type(outputs).__name__}"
    listed = ", ".join(shapes[:3]) + (", …" if len(shapes) > 3 else "")
    return f"{'tensors' if len(shapes) > 1 else 'a tensor'} of {listed}"


def _tensors(value: Any, place: Place = ()) -> Iterator[tuple[Place, Tensor]]:
    if isinstance(value, Tensor):
        yield place, value
        return
    inner: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, Mapping):
        inner = iter(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        inner = iter(enumerate(value))
    for key, item in inner:
        yield from _tensors(item, (*place, key))
