"""A model as another process can load it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard, facts_that_matter
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import OtherModelError, load_network, make_classifier
from napari_globalxai.models.prepared import KnownNetwork
from napari_globalxai.storage import hash_value


@dataclass(frozen=True)
class ModelElsewhere:
    """What another process needs to load a model as it is here.

    Attributes
    ----------
    source : str
        Card or weights.
    digest : str
        Hash of the weights, which must be those that the job was begun with.
    card : str
        Hash of what the card says, which must be the same.
    device, precision : str
        As for `load_model`.
    trust : bool
        As for `load_model`.
    cam_layer : str or None
        As for `load_model`.
    images_a_forward : int
        Batch size.
    known : KnownNetwork
        What the trials of the network here have shown, which are not made again there.
    answer : tuple of float
        What it gives here for a probe, which it must give there, too: code that a model is made of
        has no hash.
    """

    source: str
    digest: str
    card: str
    device: str
    precision: str
    trust: bool
    cam_layer: str | None
    images_a_forward: int
    # Arrays among it do not compare; it follows from the rest.
    known: KnownNetwork = field(compare=False)
    answer: tuple[float, ...] = field(compare=False)

    @classmethod
    def of(cls, classifier: Classifier) -> ModelElsewhere:
        """Return how a model is loaded.

        Raises
        ------
        InputError
            When it is in memory alone.
        """
        if classifier.source is None:
            raise InputError(
                "Workers load the model from its file, but this one is in memory alone; save it, "
                "or leave out the workers."
            )
        return cls(
            source=str(classifier.source.absolute()),
            digest=classifier.digest,
            card=_hash_card(classifier.card),
            device=str(classifier.device),
            precision=classifier.precision,
            trust=classifier.trusted,
            cam_layer=classifier.card.cam_layer,
            images_a_forward=classifier.images_a_forward,
            known=classifier.known,
            answer=tuple(classifier.answer.tolist()),
        )

    def load(self) -> Classifier:
        """Load it, without trying it again.

        Raises
        ------
        InputError
            When the files hold another model.
        """
        try:
            loaded = load_network(
                self.source, trust=self.trust, cam_layer=self.cam_layer, sha256=self.digest
            )
        except OtherModelError as why:
            raise self._is_another() from why
        if _hash_card(loaded.card) != self.card:
            raise self._is_another()
        classifier = make_classifier(
            loaded,
            self.source,
            device=self.device,
            precision=self.precision,
            trust=self.trust,
            known=self.known,
        )
        if classifier.digest != self.digest:
            raise self._is_another()
        if not np.allclose(classifier.answer, self.answer, rtol=1e-3, atol=1e-4):
            raise InputError(
                f"{self.source}: answers otherwise on a worker than where the job was begun; "
                "install the same releases of what the model is made of."
            )
        return classifier.working_with(images_a_forward=self.images_a_forward)

    def _is_another(self) -> InputError:
        return InputError(
            f"{self.source}: is another model on a worker than where the job was begun; let all "
            "workers see the same files."
        )


def _hash_card(card: ModelCard) -> str:
    return hash_value(facts_that_matter(card.model_dump(mode="json")))
