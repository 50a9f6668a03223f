"""Many networks on one folder of images: what is compared, what is kept on disk, tables and pictures.

`checkpoints.py` finds the networks, `photos.py` the images, `folder_keeper.py` keeps what is done, so that a killed
comparison goes on; `outputs.py` writes tables, `figures.py` and `film.py` pictures. Begin with `comparison.py`.
"""
