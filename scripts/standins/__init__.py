"""How the stand-in backbones of the embedded corpus are made; `scripts/make_standins.py` runs it."""
