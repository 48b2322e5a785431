"""transformers' bar over the weights of a model is off while one of ours is loaded, and only then."""

from pathlib import Path

import pytest
from transformers import AutoModel

from ves.models.pretrained import load_pretrained

STANDIN = Path("ves/standins/dinov2-scenes")


def test_nothing_is_shown_of_the_weights_and_the_setting_of_others_stays(capfd: pytest.CaptureFixture[str]) -> None:
    load_pretrained(STANDIN)
    assert capfd.readouterr() == ("", "")
    AutoModel.from_pretrained(STANDIN)
    assert "Loading weights: 100%" in capfd.readouterr().err
