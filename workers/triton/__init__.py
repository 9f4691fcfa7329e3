"""Triton kernels of the packed CUDA engine, and what they share."""
