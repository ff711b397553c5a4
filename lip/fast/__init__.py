"""Compile modules by numba so that a fit on the CPU costs what its weights cost.

`kernels.py` shows how a sparse convolution works, `upsampled_conv.py` how a convolution of an upsampled map needs a
quarter of the products. `accelerate.py` decides where they are used, `backend.py` whether.
"""
