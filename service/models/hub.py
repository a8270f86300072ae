"""A model on the Hugging Face Hub: one commit of it, in the local cache."""

from pathlib import Path

from service.errors import ModelUnusable

#: Copies of the weights for other runtimes, which nothing here reads.
NOT_NEEDED = ["*.onnx", "*.h5", "*.ot", "*.msgpack", "onnx/*", "openvino/*"]


def find(name: str, revision: str) -> Path:
    """Return the snapshot of ``revision`` that the local cache has; ask the Hub only if there is none.

    Raises:
        ModelUnusable: neither has it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, ignore_patterns=NOT_NEEDED, local_files_only=True))
    except (LocalEntryNotFoundError, RuntimeError):  # RuntimeError: the cache is under ``~``, and there is no home
        return fetch(name, revision)


def fetch(name: str, revision: str) -> Path:
    """Return the snapshot of the commit that ``revision`` is now, downloaded if need be; the cache's without the Hub.

    Raises:
        ModelUnusable: the Hub did not provide it, and the cache has none.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, ignore_patterns=NOT_NEEDED))
    except RuntimeError:
        raise ModelUnusable(f"EMBED_MODEL={name}: ~ stands for no directory here, set HF_HOME to a full path") from None
    except Exception as error:  # noqa: BLE001  # the Hub client lets its HTTP library's own errors through
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelUnusable(
            f"EMBED_MODEL={name}: no such directory, and the Hugging Face Hub did not provide revision {revision} "
            f"(EMBED_REVISION): {reason}"
        ) from None
