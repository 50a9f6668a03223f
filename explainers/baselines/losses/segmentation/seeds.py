"""Seeds: a few pixels of a class activation map that are surely object, a few that are surely not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from explainers.core.histogram import histogram, otsu_level
from explainers.core.maps import is_constant, scaled
from explainers.errors import MapError, OptionError

BACKGROUND, FOREGROUND = 0, 1
IGNORED = -100  # what torch's cross entropy leaves out unasked
LEVELS = 256
ACROSS = 3  # pixels, what one seed grows to


def draw_seeds(cams: Tensor, rng: torch.Generator, *, erosion: int = 11, background_share: float = 0.1) -> Tensor:
    """One pixel of the object and one of the background of each image, each grown to 3 × 3.

    The object is where the map, scaled to bytes, is above Otsu's level (kept within 1 … 254), eroded once, unless
    nothing would be left of it; what is beyond the border does not erode. The background is the lowest pixels, of equal
    ones a random choice, since by their order a map of zeros would always be marked at the top. Both pixels are drawn
    uniformly. Where the two squares overlap, and in maps that are the same everywhere, nothing is marked.

    Args:
        cams: (N, H, W), of the image's size; each is scaled by its own minimum and maximum.
        rng: on the CPU; how much is drawn from it depends on the shape alone.
        erosion: side of the square in pixels, odd; 1 for none.
        background_share: of the pixels, rounded down, but at least one.

    Returns:
        (N, H, W) int64: 1 object, 0 background, −100 ignored (`IGNORED`).

    Raises:
        MapError: maps of another shape or that are not finite. OptionError: a setting outside its range.

    Source: Belharbi et al. 2022 (F-CAM) and code.
    """
    if cams.ndim != 3:
        raise MapError(f"class activation maps of shape {tuple(cams.shape)}; expected (N, H, W)")
    if not cams.isfinite().all():
        raise MapError("the class activation maps hold NaN or infinite values, so no seeds can be drawn")
    check_seeding(erosion, background_share)
    values = scaled(cams.detach().float())
    shows = torch.tensor([not is_constant(each) for each in cams], device=cams.device)[:, None]
    object_, background = _object(values, erosion).flatten(1), _lowest(values.flatten(1), background_share, rng)
    marks = [_grown(_one_of(region & shows, rng).view(cams.shape)) for region in (background, object_)]
    seeds = torch.full(cams.shape, IGNORED, device=cams.device)
    seeds[marks[0] & ~marks[1]] = BACKGROUND
    seeds[marks[1] & ~marks[0]] = FOREGROUND
    return seeds


def check_seeding(erosion: int, background_share: float) -> None:
    """Raises OptionError for a setting outside its range."""
    if erosion < 1 or erosion % 2 == 0 or not 0 < background_share < 1:
        raise OptionError(
            f"erosion={erosion}, background_share={background_share}; expected an odd side, and between 0 and 1"
        )


def _object(values: Tensor, erosion: int) -> Tensor:
    """(N, H, W) bool of maps in 0 … 1."""
    bytes_ = (values * (LEVELS - 1)).long()
    level = otsu_level(histogram(bytes_.flatten(1), LEVELS)).clamp(1, LEVELS - 2)
    region = bytes_ > level[:, None, None]
    outside = F.max_pool2d((~region)[:, None].float(), erosion, stride=1, padding=erosion // 2)[:, 0] > 0
    core = ~outside
    return torch.where(core.any(dim=2, keepdim=True).any(dim=1, keepdim=True), core, region)


def _lowest(values: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """(N, P) bool from which a uniform draw is one of the lowest share of the pixels.

    Which of the equal pixels at the border belong to it is random, so it is either those below, as often as there are
    of them, or those at the border.
    """
    count = max(1, int(share * values.shape[1]))
    border = values.kthvalue(count, dim=1, keepdim=True).values
    below = values < border
    chance = torch.rand(len(values), 1, generator=rng, dtype=torch.float64).to(values.device)
    return torch.where(chance * count < below.sum(dim=1, keepdim=True), below, values == border)


def _one_of(region: Tensor, rng: torch.Generator) -> Tensor:
    """(N, P) bool: one pixel of each region, drawn uniformly; none of an empty one."""
    chances = torch.rand(region.shape, generator=rng, dtype=torch.float32).to(region.device)
    drawn = torch.where(region, chances, -1.0).argmax(dim=1)
    return F.one_hot(drawn, region.shape[1]).bool() & region


def _grown(marks: Tensor) -> Tensor:
    return F.max_pool2d(marks[:, None].float(), ACROSS, stride=1, padding=ACROSS // 2)[:, 0] > 0
