"""The guest's disk image: its recipe, its build, its cache."""

from lab.image.build import ImageBuildFailed, ensure_image

__all__ = ["ImageBuildFailed", "ensure_image"]
