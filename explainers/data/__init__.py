"""Images as people have them, data sets as they are published, and images that are generated.

`images/` finds and reads files, `sets/` knows layouts for training, `generated/` makes images with a known answer,
`samples.py` has those that ship with the package, which lie in the folders `samples` and `masks`. May import `core` and
`storage`; needs no network and no method. Begin with `images/` for `explain run`, with `data_set.py` for `explain
train`.
"""
