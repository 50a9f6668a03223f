"""What each dimension of a tensor stands for: told from the operations that made it, not from its shape.

The autograd graph of one forward pass names every operation between the image and a tensor. A convolution's output is
(N, C, h, w), what works element by element keeps that, a permutation moves it, a reshape splits and joins it. Imports
torch alone. Begin with `trace.py`; `axis.py` holds the bookkeeping, `rules.py` what each operation does.
"""
