"""Sources of images: scikit-image's photographs, arrays, and folders."""
