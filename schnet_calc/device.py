"""Where tensors live."""

import torch


def choose_device(name: str) -> torch.device:
    """A device by name; ``"auto"`` is CUDA where there is one.

    Raises
    ------
    ValueError
        The device isn't there, or is no device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device is 'auto', 'cpu' or 'cuda[:N]', got {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device is 'auto', 'cpu' or 'cuda[:N]', got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name!r} is not there: {torch.cuda.device_count()} CUDA devices found")
    return device
