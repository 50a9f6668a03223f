"""Volumes and signals as people have them: NIfTI files, DICOM series, WAV files, arrays of NumPy.

`recording.py` is what they all become, `read.py` reads one, `find.py` lists them; `nifti.py`, `dicom.py`, `wav.py` and
`arrays.py` know one format each. `preparation.py` makes the network's input, `write.py` writes maps back beside what
they are of. May import `storage`, `core` and `errors`. Begin with `read.py`.
"""

from explainers.data.recordings.find import find_recordings
from explainers.data.recordings.preparation import Preparation
from explainers.data.recordings.read import read_recording
from explainers.data.recordings.recording import MOST_VALUES, Recording
from explainers.data.recordings.write import write_map

__all__ = ["MOST_VALUES", "Preparation", "Recording", "find_recordings", "read_recording", "write_map"]
