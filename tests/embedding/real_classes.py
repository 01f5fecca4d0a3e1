"""Photographs that installed packages bring, and what is in them, as classes of ImageNet."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import skimage
from PIL import Image


@dataclass(frozen=True)
class Shown:
    """A photograph, the part of it to look at (left, upper, right, lower), and which classes are right."""

    name: str
    classes: tuple[int, ...]
    part: tuple[int, int, int, int] | None = None
    in_gray: bool = True

    def rgb(self):
        """The part's central square, (224, 224, 3) uint8 sRGB."""
        scikit_image = Path(skimage.__file__).parent / "data" / self.name
        path = scikit_image if scikit_image.exists() else Path(matplotlib.get_data_path()) / "sample_data" / self.name
        with Image.open(path) as opened:
            photograph = opened.convert("RGB").crop(self.part) if self.part else opened.convert("RGB")
        width, height = photograph.size
        left, upper, side = (width - min(width, height)) // 2, (height - min(width, height)) // 2, min(width, height)
        square = photograph.crop((left, upper, left + side, upper + side))
        return np.asarray(square.resize((224, 224), Image.Resampling.LANCZOS))


SHOWN = (
    Shown("astronaut.png", (812,), part=(300, 0, 512, 212)),  # the model behind her: space shuttle
    Shown("camera.png", (872,)),  # tripod
    Shown("chelsea.png", (281, 282, 285)),  # tabby, tiger cat, Egyptian cat
    Shown("clock_motion.png", (892, 409)),  # wall clock, analog clock
    Shown("coffee.png", (967, 968, 504)),  # espresso, cup, coffee mug
    Shown("motorcycle_left.png", (665, 670)),  # moped, motor scooter
    Shown("motorcycle_right.png", (665, 670)),
    Shown("rocket.jpg", (657, 744), part=(200, 0, 500, 300)),  # missile, projectile
    Shown("grace_hopper.jpg", (652, 683)),  # military uniform
)
