"""Convolutions that cost what their weights cost: how they work is in `kernels.py`, when they are used in `thin.py`."""
