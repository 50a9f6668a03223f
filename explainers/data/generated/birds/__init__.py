"""Generated birds with a known answer: the beak and the tail, each by shape and colour, make the class.

Drawn side on in varied poses, sizes and colours, they perch, stand, wade, swim and fly before leaves, skies, ground and
water that mirrors them; berries, petals and leaves have the colours of their parts. There are two masks, the bird and
its deciding parts, and a sentence about each image. An image depends on (seed, split, index) and its settings alone,
and images of the same index in two sizes show the same scene.

From the ground up: `brush.py` (random numbers, curves, covered pixels), `kinds.py` (the classes), `shapes.py` (beaks
and tails), `figure.py` (outlines of a bird), `plumage.py` (the bird painted), `surroundings.py`, `image.py`,
`sentence.py`, `data_set.py`; each may import those before it, the first ones `data/images` too, the last one
`data/data_set.py` and `core`. Begin with `image.py`.
"""

from explainers.data.generated.birds.data_set import BirdSplit, bird_set
from explainers.data.generated.birds.image import Bird, bird, birds
from explainers.data.generated.birds.kinds import Kind, Part, class_names, kind
from explainers.data.generated.birds.sentence import bird_sentence

__all__ = [
    "Bird",
    "BirdSplit",
    "Kind",
    "Part",
    "bird",
    "bird_sentence",
    "bird_set",
    "birds",
    "class_names",
    "kind",
]
