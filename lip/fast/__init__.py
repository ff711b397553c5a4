"""Faster modules for the CPU, compiled by numba: a fit that costs what its weights cost.

`kernels.py` shows how a sparse convolution works, `thin.py` says where it is used, `backend.py` whether.
"""
