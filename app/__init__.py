"""The web page: mark an object on one photo, drop others, look, take the mattes away.

It sees the package `icm` through its facade alone.
"""
