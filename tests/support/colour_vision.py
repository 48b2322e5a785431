"""How colours look to those who lack a cone: Machado et al. (2009), severity 1, in linear RGB."""

import numpy as np

BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lightness(kind: str, colours: np.ndarray) -> np.ndarray:
    """0..1 [...] of colours [..., 3] of 0..255."""
    seen = ((colours / 255.0) ** 2.2 @ np.array(BLIND[kind]).T).clip(0, 1)
    return (seen @ [0.2126, 0.7152, 0.0722]) ** (1 / 2.2)
