"""Volumes, signals and clips as people have them: NIfTI, DICOM, WAV, NumPy's arrays, folders of frames.

`recording.py` is what they all become, `read.py` reads one, `given.py` takes what a caller has in hand, `find.py` lists
them; `nifti.py`, `dicom.py`, `wav.py`, `numpy_arrays.py` and `frames.py` know one format each; `write.py` makes files
of maps that lie where the recording lies. Begin with `read.py`.
"""

from explainers.data.recordings.find import find_recordings, kinds_in
from explainers.data.recordings.given import as_recordings, kind_of_file, read_kind
from explainers.data.recordings.read import content_of, read_recording
from explainers.data.recordings.recording import MOST_VALUES, Recording, lies_elsewhere
from explainers.data.recordings.write import map_file, write_map

__all__ = [
    "MOST_VALUES",
    "Recording",
    "as_recordings",
    "content_of",
    "find_recordings",
    "kind_of_file",
    "kinds_in",
    "lies_elsewhere",
    "map_file",
    "read_kind",
    "read_recording",
    "write_map",
]
