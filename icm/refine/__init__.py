"""Finishing of alpha: trimap, closed form, foreground colours, full resolution."""
