"""OpenCV's decoders, which know depths and compressions that Pillow does not."""

from typing import Any

import cv2
import numpy as np


def decoded(data: bytes) -> Any:
    """Return the pixels of a file as stored, (H, W) or (H, W, channels) in the order of OpenCV, or None."""
    # Its messages do not name the file.
    log = cv2.utils.logging
    before = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    finally:
        log.setLogLevel(before)
