"""Made-up objects: one identity, any number of views, exact alpha."""

from icm.research.data.procedural.objects import MadeUpObject, draw_object

__all__ = ["MadeUpObject", "draw_object"]
