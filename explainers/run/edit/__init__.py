"""Attention maps that people edit: what a network sees as pictures to paint on, and the painted ones back as maps.

`listing.py` writes photos, maps and a table of a training's images into a folder, `painted.py` reads from it what was
edited, `trial.py` says what an edited map does to the scores, `preview.py` draws before, edited and after;
`pictures.py` knows how cells become pictures and pictures cells. Begin with `listing.py`.
"""

from explainers.run.edit.listing import EditList, edit_list
from explainers.run.edit.painted import EditedMaps, edited_maps, mask_maps
from explainers.run.edit.pictures import as_cells
from explainers.run.edit.preview import write_preview
from explainers.run.edit.trained import Trained, open_training
from explainers.run.edit.trial import Answer, Change, changes, trial

__all__ = [
    "Answer",
    "Change",
    "EditList",
    "EditedMaps",
    "Trained",
    "as_cells",
    "changes",
    "edit_list",
    "edited_maps",
    "mask_maps",
    "open_training",
    "trial",
    "write_preview",
]
