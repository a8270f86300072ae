"""Token ids to vectors: the only place that knows torch, and it imports it only inside functions."""

from service.engine import Model
from service.models import sources
from service.models.torch import TorchModel
from service.settings import Settings

__all__ = ["load"]


def load(settings: Settings, workers: int) -> Model:
    """Load the model that ``settings`` name, verify it and warm it up; takes seconds.

    Args:
        settings: name the model and the device.
        workers: how many processes share this machine's cores.

    Raises:
        ModelUnusable: the model is missing, unreadable or not one that this service can run.
    """
    return TorchModel(sources.find(settings.model), settings.device, workers)
