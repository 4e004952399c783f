"""A model as another process can load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_globalxai.errors import InputError
from napari_globalxai.models.card import facts_that_matter
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
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
    loading : dict
        Arguments of `load_model`.
    images_a_forward : int
        Batch size.
    """

    source: str
    digest: str
    card: str
    loading: Mapping[str, Any]
    images_a_forward: int

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
        loading = {
            "device": str(classifier.device),
            "precision": classifier.precision,
            "trust": classifier.trusted,
            "cam_layer": classifier.card.cam_layer,
        }
        return cls(
            str(classifier.source.absolute()),
            classifier.digest,
            _hash_card(classifier),
            loading,
            classifier.images_a_forward,
        )

    def load(self) -> Classifier:
        """Load it.

        Raises
        ------
        InputError
            When the files hold another model.
        """
        classifier = load_model(self.source, **self.loading)
        if (classifier.digest, _hash_card(classifier)) != (self.digest, self.card):
            raise InputError(
                f"{self.source}: is another model on a worker than where the job was begun; let "
                "all workers see the same files."
            )
        return classifier.working_with(images_a_forward=self.images_a_forward)


def _hash_card(classifier: Classifier) -> str:
    return hash_value(facts_that_matter(classifier.card.model_dump(mode="json")))
