"""Faster modules for the CPU, compiled by numba: a fit that costs what its weights cost.

`kernels.py` shows how a sparse convolution works, and `doubled_conv.py` how one of a doubled map gets by with a quarter
of its products, zeros or not. `thin.py` says where they are used, `backend.py` whether.
"""
